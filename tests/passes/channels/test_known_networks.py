"""Well-known architectures: the models without weights that the onnx package brings along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from plugins.channels.analysis import analyze
from plugins.channels.cutting import remove
from studio.api import Scope

from .truth import load, materialize, removed_without_trace, run

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


@pytest.mark.parametrize(
    ("name", "free", "reason"),
    [
        ("densenet121", 120, "is an output of the model"),
        ("resnet50", 37, "works over it"),
        ("inception_v2", 69, "works over it"),
        ("vgg19", 18, "works over it"),
        ("bvlc_alexnet", 5, "(LRN) works over it"),
    ],
)
def test_groups(name: str, free: int, reason: str) -> None:
    analysis = analyze(load(LIGHT / f"light_{name}.onnx"), Scope())
    locked = [group for group in analysis.groups if group.locked]
    assert len(analysis.groups) - len(locked) == free
    assert reason in locked[0].locked
    assert all(group.makers for group in analysis.groups)


@pytest.mark.parametrize("name", ["shufflenet", "squeezenet"])
def test_silent_units_leave_without_a_trace(name: str) -> None:
    model = load(LIGHT / f"light_{name}.onnx")
    materialize(model)
    (image,) = [value for value in model.graph.inputs if value.name not in model.graph.initializers]
    feeds = {str(image.name): np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype(np.float32)}
    _, removal, _ = removed_without_trace(model, feeds)
    assert len(removal.units) > 10


def test_weights_that_are_only_a_shape_follow() -> None:
    model = load(LIGHT / "light_squeezenet.onnx")
    (image,) = [value for value in model.graph.inputs if value.name not in model.graph.initializers]
    feeds = {str(image.name): np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype(np.float32)}
    analysis = analyze(model, Scope())
    group = next(group for group in analysis.groups if not group.locked)
    remove(model, {group.key: [0, 1]})
    run(model, feeds)
    node = next(node for node in model.graph if node.op_type == "Conv")
    maker = node.inputs[1].producer() if node.inputs[1] is not None else None
    assert maker is not None
    assert maker.op_type == "ConstantOfShape"
