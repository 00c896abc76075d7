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


CLEAN: Steps = ("graph.clean", "graph.fold-batchnorm")


def pruned(*ratios: float, before: Steps = CLEAN) -> dict[str, Steps]:
    """Give a recipe for each share of MACs that `prune.channels` takes away; INT8 after the first."""
    found = {f"prune.channels {ratio}": (*before, f"prune.channels:ratio={ratio}") for ratio in ratios}
    first = found[f"prune.channels {ratios[0]}"]
    return {**found, f"prune.channels {ratios[0]}, quantize.static": (*first, "quantize.static")}


def recipes(*ratios: float) -> dict[str, Steps]:
    """Give the recipes of a model."""
    return {
        **pruned(*ratios),
        "quantize.static": (*CLEAN, "quantize.static"),
        "factorize.low-rank": (*CLEAN, "factorize.low-rank"),
    }


SUBJECTS = (
    Subject("mnist-resnet", "top1", 0.01, recipes(0.5, 0.7)),
    Subject("efficientnet-lite0", "agreement", 0.9, recipes(0.1, 0.2, 0.3)),
    Subject("minilm", "cosine", 0.95, recipes(0.15, 0.3, 0.45)),
    Subject("ppocr-det", "cosine", 0.95, recipes(0.15, 0.3, 0.45)),
    Subject("vit", "top1", 0.01, recipes(0.3, 0.5)),
    Subject("tagger", "cosine", 0.95, recipes(0.3, 0.5)),
)
