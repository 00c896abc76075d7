"""What each layer costs and brings in another form, when it alone is changed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from studio.core.assignment import Item, Limits, assign
from studio.core.frozen import Frozen


class LayerOption(Frozen):
    """One layer (or several that can only change together) in one other form, all else as it was.

    Attributes
    ----------
    layers
        Names of the source's nodes.
    output
        The tensor where the change ends; it names the layer.
    choice
        Label of the form.
    estimate
        Relative error power at the outputs as estimated from the error at the layer alone; None when it could not be.
    noise
        The same, measured: energy of the outputs' error over that of the outputs, the mean over the
        float outputs. None until it is measured.
    agreement
        Measured share of samples with the same top-1 class; None without class scores.
    samples
        Samples behind the measured figures.
    milliseconds
        Time that it saves, from both models' layer times on the device; None where the runtime has no counters.
    bytes
        Bytes of weights that it saves.
    """

    layers: tuple[str, ...]
    operator: str
    output: str
    choice: str
    estimate: float | None = None
    noise: float | None = None
    agreement: float | None = None
    samples: int = 0
    milliseconds: float | None = None
    bytes: int = 0

    @property
    def error(self) -> float | None:
        """The measured relative error power, else the estimated one."""
        return self.estimate if self.noise is None else self.noise

    @property
    def sqnr_db(self) -> float | None:
        """The error as a signal to noise ratio in dB; 200 for none at all."""
        return None if self.error is None else decibels(self.error)


class Sensitivity(Frozen):
    """How sensitive a model is to changes of single layers; a fact about model, data, device and forms.

    `choices` maps each label to the step that makes the form; `refused` to why some layers have none.
    """

    model_sha256: str
    model_name: str
    device: str
    runtime_version: str
    dataset: str
    dataset_digest: str
    synthetic: bool
    choices: dict[str, str]
    options: tuple[LayerOption, ...]
    #: milliseconds of the whole model by the same counters; None without counters
    milliseconds: float | None = None
    refused: dict[str, dict[str, tuple[str, ...]]] = {}
    #: whether every option was measured
    complete: bool = False
    warnings: tuple[str, ...] = ()
    taken_at: str = ""

    def choose(self, most: float, *, minimize: str = "time") -> dict[str, str]:
        """Choose a form for each layer so that the most is saved and the errors add up to at most `most`.

        Errors of layers are taken to add up, which holds while they are small and independent.

        Parameters
        ----------
        most
            Relative error power at the outputs: 0.001 for 30 dB.
        minimize
            ``"time"`` or ``"size"``.

        Returns
        -------
        dict
            Output of each layer that changes to the label of its form.
        """
        groups = grouped(option for option in self.options if option.error is not None)
        items = [[Item(), *(_item(forms, minimize) for forms in group.forms.values())] for group in groups]
        solved = assign(items, Limits(noise=most))
        chosen = {}
        for group, index in zip(groups, solved.chosen, strict=True):
            if index:
                label = list(group.forms)[index - 1]
                chosen.update({option.output: label for option in group.forms[label]})
        return chosen


@dataclass(frozen=True)
class Group:
    """Layers that change together, and what each form means for them: label to its options."""

    layers: tuple[str, ...]
    forms: dict[str, list[LayerOption]]


def grouped(options: Iterable[LayerOption], together: Iterable[Iterable[str]] = ()) -> list[Group]:
    """Group options so that no layer is in two groups; the layers of each set in `together` are in one."""
    listed = list(options)
    leader: dict[str, str] = {layer: layer for option in listed for layer in option.layers}

    def find(layer: str) -> str:
        while leader[layer] != layer:
            leader[layer] = layer = leader[leader[layer]]
        return layer

    for names in (*(option.layers for option in listed), *together):
        known = [find(name) for name in names if name in leader]
        for name in known[1:]:
            leader[find(name)] = find(known[0])
    members: dict[str, list[str]] = {}
    for layer in leader:
        members.setdefault(find(layer), []).append(layer)
    forms: dict[str, dict[str, list[LayerOption]]] = {name: {} for name in members}
    for option in listed:
        forms[find(option.layers[0])].setdefault(option.choice, []).append(option)
    return [Group(tuple(layers), forms[name]) for name, layers in members.items()]


def decibels(noise: float) -> float:
    """Give a relative error power as a signal to noise ratio in dB, within -200 and 200."""
    return -10 * math.log10(min(max(noise, 1e-20), 1e20))


def _item(options: Sequence[LayerOption], minimize: str) -> Item:
    size = sum(option.bytes for option in options)
    saved = float(size) if minimize == "size" else sum(option.milliseconds or 0.0 for option in options)
    return Item(cost=-saved, noise=sum(option.error or 0.0 for option in options), bytes=-size)
