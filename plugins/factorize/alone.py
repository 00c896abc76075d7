"""A layer alone as a model, with random weights: what its time depends on, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import onnx_ir as ir

from studio.api import Scope

from .decompose import Factors, Kind
from .layers import Layer, find_layers
from .rewrite import Rewriter

if TYPE_CHECKING:
    from numpy.typing import NDArray


def alone(layer: Layer, shape: Sequence[int]) -> ir.Model:
    """Make a model of one node: input ``x`` of the given shape, output ``y``."""
    import numpy as np

    source, dtype = layer.weight.node, layer.weight.tensor.dtype
    array = np.random.default_rng(0).standard_normal(layer.weight.shape, dtype=np.float32) * 0.1
    value = ir.Value(name="x", type=ir.TensorType(dtype), shape=ir.Shape(list(shape)))
    tensor = ir.Tensor(array.astype(dtype.numpy()), dtype=dtype, name="w")
    weight = ir.Value(name="w", const_value=tensor, type=ir.TensorType(dtype), shape=tensor.shape)
    inputs = [weight, value] if layer.weight.index == 0 else [value, weight]
    output = ir.Value(name="y", type=ir.TensorType(dtype))
    node = ir.Node("", source.op_type, inputs, list(source.attributes.values()), outputs=[output], name="layer")
    model = source.graph
    opsets = model.opset_imports if isinstance(model, ir.Graph) and model.opset_imports else {"": 17}
    graph = ir.Graph([value], [output], nodes=[node], initializers=[weight], opset_imports=dict(opsets), name="layer")
    return ir.Model(graph, ir_version=10)


def factorized(model: ir.Model, kind: Kind, ranks: tuple[int, ...]) -> ir.Model:
    """Put random factors of these ranks in the place of the layer; the model is changed."""
    (layer,), _ = find_layers(model, Scope(), 1, convolutions=True)
    Rewriter(model).replace(layer, _random(layer, kind, ranks), None)
    return model


def _random(layer: Layer, kind: Kind, ranks: tuple[int, ...]) -> Factors:
    import numpy as np

    linear, random = layer.linear, np.random.default_rng(0)
    kernel = linear.window.kernel if linear.window is not None else ()
    channels = linear.inputs // (linear.window.cells if linear.window is not None else 1)
    shapes: list[tuple[int, ...]]
    if kind == "matrix":
        shapes = [(ranks[0], channels, *kernel), (linear.outputs, ranks[0])]
    elif kind == "spatial":
        shapes = [(ranks[0], channels, kernel[0], 1), (linear.outputs, ranks[0], 1, kernel[1])]
    else:
        shapes = [(ranks[0], channels), (ranks[1], ranks[0], *kernel), (linear.outputs, ranks[1])]
    arrays: tuple[NDArray[np.float32], ...] = tuple(random.standard_normal(shape, dtype=np.float32) for shape in shapes)
    return Factors(kind, arrays, np.zeros((0, 0)))
