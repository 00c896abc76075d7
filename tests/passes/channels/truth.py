"""The central property: units that contribute nothing can be removed without a trace in the outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
from numpy.typing import NDArray

from plugins.channels.analysis import Analysis, analyze
from plugins.channels.cutting import Removal, put_content, remove
from plugins.channels.group import Group
from plugins.channels.sizes import constant
from studio.api import Scope

#: operators whose constants may be zero at a unit that is to contribute nothing
ZEROED = {
    "Add", "BatchNormalization", "BiasGelu", "Conv", "ConvTranspose", "Einsum", "FusedConv", "FusedMatMul",
    "Gather", "Gemm", "GRU", "LSTM", "MatMul", "RNN",
}  # fmt: skip
Feeds = dict[str, NDArray[Any]]


def some_units(group: Group, random: np.random.Generator, share: float = 0.4) -> NDArray[np.intp]:
    """Choose units, the same number in each part, at least one and never all of a part."""
    chosen = []
    for part in np.unique(group.parts):
        inside = np.flatnonzero(group.parts == part)
        count = min(len(inside) - 1, max(1, round(share * len(inside))))
        chosen.append((inside, count))
    return np.concatenate([random.choice(inside, count, replace=False) for inside, count in chosen])


def silence(model: ir.Model, analysis: Analysis, gone: dict[str, NDArray[np.intp]]) -> None:
    """Set to zero all weights and biases of units, where they are made and where they are read."""
    analysis.copies.put_in()
    for key, units in gone.items():
        for place in analysis.places(key):
            value = analysis.tracer.constants[place.constant]
            tensor = constant(value)
            users = {user.op_type for user, _ in _users(value)}
            if tensor is None or not users & ZEROED or not tensor.dtype.is_floating_point():
                continue
            array = np.array(tensor.numpy())
            if place.units.ndim == 2:
                for group, row in zip(np.split(array, len(place.units)), place.units, strict=True):
                    group[:, np.isin(row, units)] = 0
            else:
                np.moveaxis(array, place.axis, 0)[np.isin(place.units, units)] = 0
            put_content(value, ir.tensor(array, name=tensor.name))


def _users(value: ir.Value) -> list[Any]:
    found = []
    for user, index in value.uses():
        if user.op_type in ("Identity", "Cast", "DequantizeLinear", "Reshape", "Transpose"):
            found += _users(user.outputs[0])
        else:
            found.append((user, index))
    return found


def run(model: ir.Model, feeds: Feeds) -> list[NDArray[Any]]:
    """Check a model, infer its shapes strictly and run it."""
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, feeds))


def removed_without_trace(
    model: ir.Model, feeds: Feeds, *, seed: int = 0, keys: list[str] | None = None, share: float = 0.4
) -> tuple[Analysis, Removal, ir.Model]:
    """Silence some units of every free group, remove them from a copy, and compare the outputs."""
    random = np.random.default_rng(seed)
    analysis = analyze(model, Scope())
    gone = {
        group.key: some_units(group, random, share)
        for group in analysis.groups
        if not group.locked and (keys is None or group.key in keys) and len(group.parts) > group.parts.max() + 1
    }
    silence(model, analysis, gone)
    expected = run(model, feeds)
    smaller = model.clone()
    removal = remove(smaller, gone)
    found = run(smaller, feeds)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=2e-4, atol=2e-4 * max(1.0, float(np.abs(one).max())))
    return analysis, removal, smaller


def load(path: Path) -> ir.Model:
    """Read a model."""
    return ir.load(path)


def materialize(model: ir.Model, seed: int = 0) -> None:
    """Put random weights in the place of those that ConstantOfShape makes."""
    random = np.random.default_rng(seed)
    for node in list(model.graph):
        given = node.attributes.get("value")
        if given is not None and given.as_tensor().dtype != ir.DataType.FLOAT:
            continue
        if node.op_type == "ConstantOfShape" and (tensor := constant(node.inputs[0])) is not None:
            shape = [int(size) for size in tensor.numpy()]
            array = random.standard_normal(shape) * (2 / max(1, int(np.prod(shape[1:])))) ** 0.5
            old = node.outputs[0]
            array = np.abs(array) + 0.1 if len(shape) == 1 else array
            attribute = ir.AttrTensor("value", ir.tensor(array.astype(np.float32)))
            name = old.name
            value = ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(shape))
            fresh = ir.Node("", "Constant", [], [attribute], outputs=[value], name=node.name)
            model.graph.insert_before(node, fresh)
            old.replace_all_uses_with(value)
            model.graph.remove(node, safe=True)
