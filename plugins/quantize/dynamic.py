"""`quantize.dynamic`: 8-bit weights; activations are quantized while the model runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from studio.api import (
    Artifact,
    Change,
    Device,
    Family,
    Params,
    Pass,
    PassContext,
    PassResult,
    Scope,
    Step,
    Survey,
    param,
)

from .expectation import Switch, dynamic_speed, reduce_range
from .finish import list_changes, unchanged, write_checked
from .gemm import split_gemms
from .graph import (
    constant,
    count_operators,
    float_constant,
    half_precision,
    is_float,
    operators_by_name,
    quantized_already,
)
from .initializers import own_constants
from .integer import origins, use_integer_operators
from .notes import dynamic_advice, skipped_note, upgrade_note
from .prepare import DYNAMIC_OPSET, open_named, save_prepared
from .quiet import scratch_folder
from .refusal import refusal
from .selection import NOTHING, WEIGHT_INPUT, Selection, check_operators, integer, number, select
from .size import int8_size

if TYPE_CHECKING:
    import onnx_ir as ir

_KNOWN = ("MatMul", "Gemm", "Conv", "LSTM", "Gather")


class DynamicParams(Params):
    """Parameters of `DynamicQuantization`."""

    operators: tuple[str, ...] = param(
        ("MatMul", "Gemm"),
        "Operators to quantize: MatMul, Gemm, LSTM, Gather (tables of embeddings), Conv (3-6 times slower than float).",
        candidates=(("MatMul", "Gemm"), ("MatMul", "Gemm", "Gather"), ("MatMul", "Gemm", "LSTM")),
    )
    per_channel: bool = param(
        True, "A scale for each output channel of MatMul and Gemm instead of one for all.", candidates=(True, False)
    )
    weight_type: Literal["int8", "uint8"] = param("int8", "Type of weights.", candidates=("int8", "uint8"))
    reduce_range: Switch = param(
        "auto",
        "Use 7 bits for weights, against saturation on processors with AVX2 or AVX-512 but without VNNI.",
        advanced=True,
    )


class DynamicQuantization(Pass):
    """Quantize weights; needs no data."""

    id: ClassVar[str] = "quantize.dynamic"
    title: ClassVar[str] = "Dynamic INT8"
    family: ClassVar[Family] = "precision"
    summary: ClassVar[str] = "Store weights in 8 bits and quantize activations while the model runs; needs no data."
    trials: ClassVar[Mapping[str, Mapping[str, Any]]] = {"int8-dynamic": {}}
    Params: ClassVar[type[Params]] = DynamicParams

    def survey(self, model: ir.Model, params: DynamicParams, device: Device | None, scope: Scope) -> Survey:
        """Say what it would touch; see `Pass.survey`."""
        why_not, selection = _judge(model, params, scope)
        if why_not:
            return Survey(applies=False, summary="nothing to quantize", why_not=f"Not applicable: {why_not}.")
        convolutions = any(node.op_type == "Conv" for node in selection.nodes)
        return Survey(
            applies=True,
            summary=count_operators(selection.nodes),
            nodes=selection.names,
            speed=dynamic_speed(device, convolutions) if device else None,
            change=Change(precision="int8-dynamic"),
            size=int8_size(model, selection, per_channel=params.per_channel, nodes_each=9),
            warnings=dynamic_advice(model, selection, params.operators),
        )

    def apply(self, artifact: Artifact, params: DynamicParams, context: PassContext) -> PassResult:
        """Quantize; see `Pass.apply`.

        Raises
        ------
        PassError
            When the result is not valid.
        """
        model = open_named(artifact)
        why_not, selection = _judge(model, params, context.scope)
        if why_not:
            return unchanged(artifact, why_not)
        warnings = (*dynamic_advice(model, selection, params.operators), *upgrade_note(model, DYNAMIC_OPSET))
        before = operators_by_name(model.graph)
        tensors = {str(value.name) for node in model.graph for value in node.outputs}
        made = {name: [str(out.name) for out in node.outputs if out.name] for node, name in selection.nodes.items()}
        gathers = {name for node, name in selection.nodes.items() if node.op_type == "Gather"}
        signed = params.weight_type == "int8" or any(node.op_type == "LSTM" for node in selection.nodes)
        reduced = reduce_range(params.reduce_range, "int8" if signed else "uint8", context.device)
        with scratch_folder(context.workdir) as scratch:
            own_constants(model.graph, selection)
            split = split_gemms(model.graph, selection)
            names = {name: split.get(name, name) for name in selection.names}
            typed = model.meta["typed"]
            prepared = save_prepared(model, scratch, DYNAMIC_OPSET)
            del model, selection
            context.reporter.progress(1, 3, "quantizing weights")
            context.reporter.check()
            proto = use_integer_operators(
                prepared,
                list(names.values()),
                weight_type=params.weight_type,
                per_channel=params.per_channel,
                seven_bits=reduced,
            )
            context.reporter.progress(2, 3, "checking the result")
            context.reporter.check()
            result = write_checked(proto, context.workdir, typed=typed)
        kinds = f"weights {params.weight_type}{' in 7 bits' if reduced else ''}, activations uint8 at run time"
        rewritten = {f"{new}{'' if name in gathers else '_quant'}": (name, kinds) for name, new in names.items()}
        return PassResult(
            artifact=result,
            changes=list_changes(before, proto.graph, rewritten),
            warnings=warnings,
            provenance=origins(proto.graph, made, tensors),
            notes={"reduce_range": reduced},
        )

    def refuses(self, earlier: tuple[Step, ...]) -> str:
        """Say why it may not follow these steps."""
        return refusal(earlier)


def _judge(model: ir.Model, params: DynamicParams, scope: Scope) -> tuple[str, Selection]:
    """Say why the pass does not apply, or what it would quantize."""
    check_operators(params.operators, _KNOWN, "quantize.dynamic")
    already = quantized_already(model)
    if already:
        return already, NOTHING
    selection = select(model.graph, params.operators, scope, _why_not)
    if selection.nodes:
        return "", selection
    if half_precision(model):
        return "its weights are float16, and INT8 needs the float32 model", NOTHING
    reasons = "; ".join(note.rstrip(".") for note in skipped_note(selection.skipped))
    return reasons or f"no {' or '.join(params.operators)} with constant float32 weights in the scope", NOTHING


def _why_not(node: ir.Node) -> str | None:
    """Say why a node cannot be quantized; empty when it can, None when that is not worth a word."""
    if float_constant(node.inputs[WEIGHT_INPUT[node.op_type]]) is None:
        return None if node.op_type == "Gather" else "its weights are not a float32 constant"
    if not is_float(node.outputs[0]):
        return "the type of its output cannot be inferred"
    if node.op_type == "Gemm":
        return _why_not_gemm(node)
    if node.op_type == "LSTM" and (integer(node, "layout", 0) or float_constant(node.inputs[2]) is None):
        return "its layout is batch first, or its recurrent weights are not constant"
    return ""


def _why_not_gemm(node: ir.Node) -> str:
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    scaled = number(node, "beta", 1.0) != 1.0 and bias is not None and constant(bias) is None
    if integer(node, "transA", 0) or scaled:
        return "it transposes its input or scales a computed bias"
    return ""
