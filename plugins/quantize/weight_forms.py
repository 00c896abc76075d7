"""The operators in which a weight of few bits is stored and used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .editor import Editor
from .levels import Levels, Spill, packed
from .selection import number
from .weight_plan import MOST, Form, common_block, fitting
from .weight_targets import Target

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

#: domain of ONNX Runtime's own operators
CONTRIB = "com.microsoft"
#: `accuracy_level` of MatMulNBits that computes with activations in 8 bits
_INT8_ACTIVATIONS = 4


class Former:
    """Puts quantized weights into a graph, one after the other."""

    def __init__(self, editor: Editor, spill: Spill, form: Form, *, int8_activations: bool) -> None:
        self._editor, self._spill, self._form = editor, spill, form
        self._int8 = int8_activations

    def use(self, targets: list[Target], levels: Levels) -> None:
        """Let nodes that share a weight use it quantized; the float weight goes."""
        first = targets[0]
        if first.kind == "gather":
            self._gathers(targets, levels)
        elif first.kind == "matmul" and self._form == "nbits":
            self._nbits(targets, levels)
        else:
            value = self._expanded(first, levels) if self._form == "qdq" else self._stored(first, levels)
            for target in targets:
                if self._form == "qdq" and target.kind == "matmul":
                    self._plain_matmul(target, value)
                else:
                    target.node.replace_input_with(1, value)
        self._editor.forget(first.holder)

    def _nbits(self, targets: list[Target], levels: Levels) -> None:
        """Use MatMulNBits, ONNX Runtime's operator that other engines read too."""
        if levels.size == levels.inputs:
            levels = levels.resized(min(MOST, fitting(levels.inputs)))
        name = str(targets[0].holder.name)
        constants = [
            self._editor.initializer(self._spill.array(packed(levels.codes, levels.bits), f"{name}_codes")),
            self._editor.initializer(self._spill.array(levels.scales.reshape(-1), f"{name}_scales")),
        ]
        if levels.zeros is not None:
            zeros = packed(levels.zeros, levels.bits).reshape(-1)
            constants.append(self._editor.initializer(self._spill.array(zeros, f"{name}_zeros")))
        attributes = {"K": levels.inputs, "N": len(levels.codes), "bits": levels.bits, "block_size": levels.size}
        if self._int8:
            attributes["accuracy_level"] = _INT8_ACTIVATIONS
        for target in targets:
            self._product(target, "MatMulNBits", constants, attributes, CONTRIB)

    def _plain_matmul(self, target: Target, weight: ir.Value) -> None:
        """Use MatMul, for Gemm too: engines keep a dequantized weight small for MatMul only."""
        if target.node.op_type == "MatMul":
            target.node.replace_input_with(1, weight)
        else:
            self._product(target, "MatMul", [weight], {}, "")

    def _product(
        self, target: Target, operator: str, constants: list[ir.Value], attributes: dict[str, Any], domain: str
    ) -> None:
        """Replace a MatMul or Gemm by a product, and an addition for a Gemm's bias."""
        import onnx_ir as ir

        node = target.node
        inputs = [node.inputs[0], *constants]
        bias = node.inputs[2] if node.op_type == "Gemm" and len(node.inputs) > 2 else None
        if bias is None:
            self._editor.instead(node, operator, inputs, attributes, domain)
            return
        beta = number(node, "beta", 1.0)
        if beta != 1.0:
            tensor = bias.const_value
            assert tensor is not None  # a computed bias with a factor is no target
            scaled = (np.float32(beta) * tensor.numpy()).astype(np.float32)
            old, bias = bias, self._editor.initializer(self._spill.array(scaled, f"{bias.name}_scaled"))
            node.replace_input_with(2, bias)
            self._editor.forget(old)
        product = self._editor.before(node, operator, inputs, ir.DataType.FLOAT, attributes, domain)
        self._editor.instead(node, "Add", [product, bias])

    def _expanded(self, target: Target, levels: Levels) -> ir.Value:
        """Add a DequantizeLinear, with blocks where a row has several."""
        import onnx_ir as ir

        editor, name = self._editor, str(target.holder.name)
        signed, conv = levels.zeros is None, target.kind == "conv"
        flat = levels.codes.reshape(len(levels.codes), -1)[:, : levels.inputs]
        codes = flat.reshape(_shape(target)) if conv else np.ascontiguousarray(flat.T)
        constants = [editor.initializer(self._spill.small(codes, levels.bits, f"{name}_codes", signed=signed))]
        blocked = levels.codes.shape[1] > 1
        scales = levels.scales.T if blocked else levels.scales[:, 0]
        constants.append(editor.initializer(self._spill.array(scales, f"{name}_scales")))
        if levels.zeros is not None:
            zeros = np.ascontiguousarray(levels.zeros.T) if blocked else levels.zeros[:, 0]
            tensor = self._spill.small(zeros, levels.bits, f"{name}_zeros", signed=False)
            constants.append(editor.initializer(tensor))
        attributes = {"axis": 0, "block_size": levels.size} if blocked else {"axis": 0 if conv else 1}
        return editor.before(target.node, "DequantizeLinear", constants, ir.DataType.FLOAT, attributes)

    def _stored(self, target: Target, levels: Levels) -> ir.Value:
        """Add Cast, Sub, Mul and Reshape, which engines compute once, when they load the model."""
        import onnx_ir as ir

        editor, name, shape = self._editor, str(target.holder.name), _shape(target)
        signed = levels.zeros is None
        blocked = levels.codes.shape[1] > 1
        codes, scales, zeros = self._arranged(target, levels, blocked=blocked)
        value = editor.initializer(self._spill.small(codes, levels.bits, f"{name}_codes", signed=signed))
        value = editor.before(target.node, "Cast", [value], ir.DataType.FLOAT, {"to": int(ir.DataType.FLOAT)})
        if zeros is not None:
            offset = editor.initializer(self._spill.array(zeros.astype(np.float32), f"{name}_zeros"))
            value = editor.before(target.node, "Sub", [value, offset], ir.DataType.FLOAT)
        factor = editor.initializer(self._spill.array(scales, f"{name}_scales"))
        value = editor.before(target.node, "Mul", [value, factor], ir.DataType.FLOAT)
        if not blocked:
            return value
        axis = 0 if target.transposed else 1
        whole = levels.codes.shape[1] * levels.size
        whole_shape = [whole if at == axis else size for at, size in enumerate(shape)]
        value = editor.before(target.node, "Reshape", [value, self._numbers(whole_shape, name)], ir.DataType.FLOAT)
        if whole == levels.inputs:
            return value
        ends = [self._numbers([number], name) for number in (0, levels.inputs, axis)]
        return editor.before(target.node, "Slice", [value, *ends], ir.DataType.FLOAT)

    @staticmethod
    def _arranged(
        target: Target, levels: Levels, *, blocked: bool
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
        """Lay codes, scales and zeros out as the weight is stored, a block's inputs along an axis of their own."""
        codes, scales, zeros = levels.codes, levels.scales, levels.zeros
        if not blocked:
            shape = _shape(target)
            lead = (1, -1) if target.transposed else (-1, *(1,) * (len(shape) - 1))
            flat = codes[:, 0, : levels.inputs]
            arranged = np.ascontiguousarray(flat.T) if target.transposed else flat.reshape(shape)
            return arranged, scales.reshape(lead), None if zeros is None else zeros.reshape(lead)
        if target.transposed:
            turned = None if zeros is None else zeros.T[:, None]
            return np.ascontiguousarray(codes.transpose(1, 2, 0)), np.ascontiguousarray(scales.T[:, None]), turned
        return codes, scales[..., None], None if zeros is None else zeros[..., None]

    def _gathers(self, targets: list[Target], levels: Levels) -> None:
        """Pick rows of codes, so that only these are expanded."""
        rows = self._form == "nbits" and common_block(levels.inputs, MOST)
        (self._gather_blocks if rows else self._gather_rows)(targets, levels)

    def _gather_blocks(self, targets: list[Target], levels: Levels) -> None:
        name = str(targets[0].holder.name)
        codes = packed(levels.codes.reshape(len(levels.codes), -1), levels.bits)
        table = self._editor.initializer(self._spill.array(codes, f"{name}_codes"))
        scales = self._editor.initializer(self._spill.array(levels.scales, f"{name}_scales"))
        attributes = {"bits": levels.bits, "block_size": levels.size, "gather_axis": 0, "quantize_axis": 1}
        for target in targets:
            inputs = [table, target.node.inputs[1], scales]
            self._editor.instead(target.node, "GatherBlockQuantized", inputs, attributes, CONTRIB)

    def _gather_rows(self, targets: list[Target], levels: Levels) -> None:
        import onnx_ir as ir

        editor, name = self._editor, str(targets[0].holder.name)
        table = editor.initializer(self._spill.small(levels.codes[:, 0], 8, f"{name}_codes", signed=True))
        scales = editor.initializer(self._spill.array(levels.scales, f"{name}_scales"))
        for target in targets:
            picks = target.node.inputs[1]
            codes = editor.before(target.node, "Gather", [table, picks], ir.DataType.INT8)
            factor = editor.before(target.node, "Gather", [scales, picks], ir.DataType.FLOAT)
            to = {"to": int(ir.DataType.FLOAT)}
            value = editor.before(target.node, "Cast", [codes], ir.DataType.FLOAT, to)
            editor.instead(target.node, "Mul", [value, factor])

    def _numbers(self, numbers: list[int], name: str) -> ir.Value:
        return self._editor.initializer(self._spill.array(np.array(numbers, np.int64), f"{name}_shape"))


def _shape(target: Target) -> tuple[int, ...]:
    return tuple(int(str(size)) for size in target.tensor.shape)
