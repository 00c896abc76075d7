"""Put layers of a graph into bfloat16, and find out beforehand what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from studio.api import BurnishError, Cancelled, PassContext, Scope

from .calibration import Calibrator
from .editor import Editor
from .graph import constant, float_constant, is_float
from .layer_errors import measure_layers, sample_limit
from .prepare import PER_AXIS_OPSET, save_prepared
from .selection import Selection, select
from .stages import few_batches

if TYPE_CHECKING:
    import onnx_ir as ir

Form = Literal["weights", "compute"]
#: first opset with a Conv of bfloat16
CONV_OPSET = 22


def find_layers(model: ir.Model, operators: Sequence[str], scope: Scope) -> Selection:
    """Select the layers with constant float32 weights that bfloat16 can hold."""
    return select(model.graph, operators, scope, _why_not)


def _why_not(node: ir.Node) -> str | None:
    import ml_dtypes
    import numpy as np

    if not (is_float(node.inputs[0]) and is_float(node.outputs[0])):
        return "its input is not float32, or its type cannot be inferred"
    weight = float_constant(node.inputs[1])
    if weight is None:
        return None if constant(node.inputs[1]) is None else "its weights are not float32"
    array = weight.numpy()
    largest = max(abs(float(array.max())), abs(float(array.min())))
    if not np.isfinite(largest) or largest > float(ml_dtypes.finfo(ml_dtypes.bfloat16).max):
        return "its weights are not finite, or too large"
    return ""


def needed_opset(selection: Selection, form: Form) -> int:
    """Give the opset that the form needs."""
    convolves = any(node.op_type in ("Conv", "ConvTranspose") for node in selection.nodes)
    return CONV_OPSET if form == "compute" and convolves else PER_AXIS_OPSET


def convert(model: ir.Model, selection: Selection, form: Form, *, imitate: bool = False) -> dict[str, tuple[str, ...]]:
    """Give the selected layers weights of bfloat16.

    Parameters
    ----------
    model
        The model, edited in place; every selected node has weights of its own.
    form
        ``"weights"``: a Cast makes them float32 again; ``"compute"``: the layer computes in bfloat16, between casts.
    imitate
        For ``"compute"``: round the input to bfloat16 but compute in float32, which every engine can.

    Returns
    -------
    dict
        The name of each inserted node to the layer that it serves.
    """
    editor = Editor(model.graph)
    for node in selection.nodes:
        if form == "weights" or imitate:
            _store(editor, node, round_input=form == "compute")
        else:
            _compute(editor, node)
    return dict(editor.added)


def _store(editor: Editor, node: ir.Node, *, round_input: bool) -> None:
    import onnx_ir as ir

    old = node.inputs[1]
    assert old is not None  # the selection looked
    narrow = _narrowed(editor, node, 1)
    wide = editor.before(node, "Cast", [narrow], ir.DataType.FLOAT, {"to": int(ir.DataType.FLOAT)})
    wide.shape = old.shape
    node.replace_input_with(1, wide)
    editor.forget(old)
    if round_input:
        given = editor.before(node, "Cast", [node.inputs[0]], ir.DataType.BFLOAT16, {"to": int(ir.DataType.BFLOAT16)})
        back = editor.before(node, "Cast", [given], ir.DataType.FLOAT, {"to": int(ir.DataType.FLOAT)})
        node.replace_input_with(0, back)


def _compute(editor: Editor, node: ir.Node) -> None:
    import onnx_ir as ir

    brain = {"to": int(ir.DataType.BFLOAT16)}
    for index, value in enumerate(node.inputs):
        if value is None:
            continue
        if float_constant(value) is not None:
            node.replace_input_with(index, _narrowed(editor, node, index))
            editor.forget(value)
        else:
            given = editor.before(node, "Cast", [value], ir.DataType.BFLOAT16, brain)
            given.shape = value.shape
            node.replace_input_with(index, given)
    _widen_output(editor, node)


def _widen_output(editor: Editor, node: ir.Node) -> None:
    """Cast what a layer gives to float32; the cast takes over the tensor's name."""
    import onnx_ir as ir

    old = node.outputs[0]
    cast = editor.after(node, "Cast", ir.DataType.FLOAT, {"to": int(ir.DataType.FLOAT)})
    cast.shape, cast.type = old.shape, ir.TensorType(ir.DataType.FLOAT)
    old.type = ir.TensorType(ir.DataType.BFLOAT16)


def _narrowed(editor: Editor, node: ir.Node, index: int) -> ir.Value:
    import ml_dtypes
    import numpy as np
    import onnx_ir as ir

    value = node.inputs[index]
    tensor = float_constant(value)
    assert value is not None and tensor is not None  # the caller looked
    array = np.ascontiguousarray(tensor.numpy().astype(ml_dtypes.bfloat16)).reshape(tensor.numpy().shape)
    return editor.initializer(ir.Tensor(array, name=f"{value.name}_bfloat16"))


def simulated(
    model: ir.Model, selection: Selection, form: Form, least: float, context: PassContext, folder: Path
) -> tuple[frozenset[str], tuple[str, ...]]:
    """Compare each layer with bfloat16, imitated in float32, against float32 on calibration data.

    Parameters
    ----------
    least
        The ratio in dB below which a layer is to stay float32; 0 looks at none.

    Returns
    -------
    tuple
        The names of those layers, and warnings.
    """
    import onnx_ir as ir

    data = context.calibration
    if not least or data is None:
        return frozenset(), ()
    path = save_prepared(model, folder, 0)
    tensors = [str(node.inputs[0].name) for node in selection.nodes if node.inputs[0] is not None]
    try:
        calibrator = Calibrator(path, list(dict.fromkeys(tensors)), data, context.reporter)
        limit = sample_limit(calibrator.sample_bytes())
        batches = few_batches(calibrator.feeds(limit), limit)
        copy = ir.from_proto(ir.to_proto(model))
        names = set(selection.names)
        twins = Selection({node: str(node.name) for node in copy.graph if node.name in names}, {})
        convert(copy, twins, form, imitate=True)
        errors = measure_layers(
            path, ir.to_proto(copy), folder, selection.names, batches, context.reporter, correct=False
        )
    except Cancelled:
        raise
    except Exception as error:  # the model may need an engine that is not here: the conversion is still right
        message = error.message if isinstance(error, BurnishError) else f"{type(error).__name__}: {error}"
        return frozenset(), (f"Layers were not compared with float32: {message}",)
    low = [name for name, level in errors.sqnr.items() if level < least]
    if not low:
        return frozenset(), ()
    worst = min(low, key=lambda name: errors.sqnr[name])
    warning = f"{len(low)} layers stay float32, as they would fall below {least:g} dB: the lowest is {worst} at "
    return frozenset(low), (f"{warning}{errors.sqnr[worst]:.1f} dB.",)
