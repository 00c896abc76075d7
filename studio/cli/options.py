"""Options that several commands share."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from studio.cli.app import App
from studio.core.errors import UsageError, nearest
from studio.core.modelinfo import ModelInfo
from studio.core.preprocessing import PRESETS
from studio.core.recipe import Recipe, parse_step, read_recipe
from studio.core.source import parse_split

F = TypeVar("F", bound=Callable[..., Any])


class Seconds(click.FloatRange):
    """A number of seconds between two bounds; "nan" is none."""

    name = "number of seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a number of seconds."""
        found: float = super().convert(value, param, ctx)
        if math.isnan(found):
            self.fail(f"{value!r} is not a valid {self.name}.", param, ctx)
        return found


#: a path that need not exist: what is wrong with it is said better by who reads it
PATH = click.Path(path_type=Path)
#: parts of a split that commands read, and one for what they shall not
PARTS = ("calibration", "evaluation", "unused")
#: time for measuring: shorter says nothing, and nobody waits longer than a day (which also refuses nan and inf)
SECONDS = Seconds(0.2, 86_400)


def common(function: F) -> F:
    """Add ``--json`` and ``--debug``, and hand over the `App`."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout and nothing else there.")
    @click.option("--debug", is_flag=True, help="Show more, and where an error comes from.")
    @click.pass_obj
    @functools.wraps(function)
    def wrapped(app: App, /, *args: Any, as_json: bool, debug: bool, **kwargs: Any) -> Any:
        app.json, app.debug = as_json, debug
        return function(app, *args, **kwargs)

    return wrapped  # type: ignore[return-value]


def device_option(function: F) -> F:
    """Add ``--device``."""
    return click.option(
        "--device", default="", metavar="RUNTIME:DEVICE", help="Device, such as openvino:CPU; 'burnish devices' lists."
    )(function)


def data_option(function: F) -> F:
    """Add ``--data``, and how it is read."""
    return click.option(
        "--data", type=PATH, help="Inputs: .npz, folder of images or .npy, .csv or .jsonl manifest; else generated."
    )(source_options(function))


def source_options(function: F) -> F:
    """Add ``--preprocess``, ``--read`` and ``--split``, and hand on ``data`` and ``evaluation`` as they say.

    Both become paths of descriptions (`studio.core.source`), so that a command need not know. Of a split,
    ``evaluation`` is the part of that name; ``data`` is the part ``calibration`` where there is also
    ``evaluation``, else the part ``evaluation``. A recipe's preprocessing holds where none is given.
    """

    @click.option(
        "--preprocess",
        default="",
        metavar="PRESET[:K=V,...]",
        help=f"How pictures are prepared: {', '.join(PRESETS)}; keys as crop, mean, std, order.",
    )
    @click.option(
        "--read", default="", metavar="K=V,...", help="How samples are read: tokenizer, text, length, label, rate, ..."
    )
    @click.option(
        "--split", default="", metavar="NAME=SHARE,...", help="Disjoint parts: calibration=0.2,evaluation=0.8."
    )
    @click.pass_obj
    @functools.wraps(function)
    def wrapped(app: App, /, *args: Any, preprocess: str, read: str, split: str, **kwargs: Any) -> Any:
        given = [kwargs.get(name) for name in ("data", "evaluation")]
        if (preprocess or read or split) and not any(given):
            raise UsageError("--preprocess, --read and --split say how data is read, and none is given.", "Add --data.")
        recipe = kwargs.get("recipe")
        if not preprocess and recipe is not None and any(given):
            preprocess = read_recipe(recipe).preprocess
        if preprocess or read or split:
            from studio.workbench import Said

            said = Said(preprocess=preprocess, read=read, split=split)
            check_parts(split)
            part = "calibration" if "evaluation" in kwargs else "evaluation"
            for name, piece in (("data", part), ("evaluation", "evaluation")):
                if kwargs.get(name) is not None:
                    kwargs[name] = app.work.described(kwargs[name], said, piece)
        return function(*args, **kwargs)

    return wrapped  # type: ignore[return-value]


def check_parts(split: str) -> None:
    """Refuse parts that no command reads.

    Raises
    ------
    UsageError
        For a name that is none of `PARTS`.
    """
    names = parse_split(split)
    for name in names:
        if name not in PARTS:
            raise UsageError(f"--split {split!r}: no command reads a part {name!r}.", nearest(name, PARTS))


def build_recipe(recipe: Path | None, steps: Sequence[str]) -> Recipe:
    """Join a recipe file's steps and those of the command line, in this order."""
    base = read_recipe(recipe) if recipe is not None else Recipe()
    return base.model_copy(update={"steps": (*base.steps, *(parse_step(text) for text in steps))})


def parse_dims(values: Sequence[str]) -> dict[str, int]:
    """Read ``NAME=SIZE`` for dynamic dimensions.

    Raises
    ------
    UsageError
        When it is not of that form.
    """
    dims = {}
    for text in values:
        name, _, size = text.partition("=")
        if not name or not size.isdigit():
            raise UsageError(f"--dim {text!r} is not NAME=SIZE.", "Write --dim sequence=128.")
        dims[name] = int(size)
    return dims


def check_dims(dims: Mapping[str, int], models: Iterable[ModelInfo]) -> None:
    """Refuse sizes for dimensions that no model has: a typo must not mean another size.

    Raises
    ------
    UsageError
        When there is one.
    """
    shapes = [item.shape or () for model in models for item in model.inputs]
    names = {part.strip() for shape in shapes for size in shape if isinstance(size, str) for part in size.split("+")}
    for name in dims:
        if name not in names:
            hint = nearest(name, names) or "Leave --dim out: every dimension of its inputs is fixed."
            raise UsageError(f"There is no dynamic dimension {name!r}.", hint)
