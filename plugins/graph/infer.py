"""Shape inference that leaves the model's inputs and outputs as they are declared."""

from __future__ import annotations

import logging

import onnx_ir as ir

from .names import all_graphs, all_nodes

Declared = dict[ir.Value, tuple[ir.TypeProtocol | None, ir.Shape | None]]


def infer_shapes(model: ir.Model) -> None:
    """Fill in types and shapes of the values inside a model, with ONNX's own inference.

    Weights are not read. A model that inference does not understand stays as it is. Inputs and
    outputs of the graphs keep the type and shape that they declare.
    """
    from onnx_ir.passes.common import ShapeInferencePass

    edges = [value for graph in all_graphs(model) for value in (*graph.inputs, *graph.outputs)]
    declared: Declared = {value: (value.type, value.shape) for value in edges}
    logger = logging.getLogger("onnx_ir.passes.common.shape_inference")
    before, logger.disabled = logger.disabled, True
    try:
        ShapeInferencePass(check_type=False, strict_mode=False, data_prop=True)(model)
    finally:
        logger.disabled = before
    restore_types({value: known for value, known in declared.items() if known[0] is not None})


def inner_types(model: ir.Model) -> Declared:
    """Give the type and shape that every value made by a node has now."""
    return {value: (value.type, value.shape) for node in all_nodes(model) for value in node.outputs}


def restore_types(declared: Declared) -> None:
    """Put types and shapes back; a shape that was unknown stays as it was found."""
    for value, (type_, shape) in declared.items():
        value.type = type_
        value.shape = shape
