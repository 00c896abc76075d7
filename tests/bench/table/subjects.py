"""The models of the table, by what each is judged, and Burnish's own recipes for it."""

from __future__ import annotations

from dataclasses import dataclass

Steps = tuple[str, ...]


@dataclass(frozen=True)
class Subject:
    """A model with its metric and recipes.

    Attributes
    ----------
    name
        Its files: ``NAME.onnx``, ``NAME-calibration.npz``, ``NAME-eval.npz``.
    metric
        Id of the metric; `floor` is the least that counts: points lost where there are labels, else the fidelity.
    recipes
        Name to steps.
    """

    name: str
    metric: str
    floor: float
    recipes: dict[str, Steps]


def pruned(*targets: str, before: Steps = ("graph.clean", "graph.fold-batchnorm")) -> dict[str, Steps]:
    """Give a recipe for each target of `prune.channels`, such as ``macs=0.6``."""
    return {f"prune.channels {target}": (*before, f"prune.channels:{target}") for target in targets}


FIXED = ("graph.freeze-shapes:dims=batch=1", "graph.clean", "graph.fold-batchnorm")
SUBJECTS = (
    Subject("mnist-resnet", "top1", 0.01, pruned("macs=0.6", "macs=0.45", "macs=0.3")),
    Subject("efficientnet-lite0", "agreement", 0.9, pruned("macs=0.9", "macs=0.8", "macs=0.7", "macs=0.6")),
    Subject("minilm", "cosine", 0.95, pruned("macs=0.85", "macs=0.75", "macs=0.65", "macs=0.55")),
    Subject("ppocr-det", "cosine", 0.95, pruned("macs=0.85", "macs=0.75", "macs=0.65", "macs=0.5")),
    Subject("vit", "top1", 0.01, pruned("macs=0.8", "macs=0.65", "macs=0.5", "macs=0.4")),
    Subject("tagger", "agreement", 0.9, pruned("macs=0.75", "macs=0.6", "macs=0.45")),
)
