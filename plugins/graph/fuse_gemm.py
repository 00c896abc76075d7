"""MatMul and Add of matrices are one Gemm."""

from __future__ import annotations

import onnx_ir as ir

from .patterns import made_by, replace
from .values import integers, is_op, rank_of
from .workspace import Workspace

_TYPES = ("FLOAT", "FLOAT16", "DOUBLE")


def fuse_gemm(space: Workspace, node: ir.Node) -> bool:
    """Merge ``MatMul(a, b) + c`` for matrices a and b, where c broadcasts to the product and not the reverse."""
    if not is_op(node, "Add") or space.opset < 11:
        return False
    for product, bias in ((0, 1), (1, 0)):
        matmul = made_by(node.inputs[product], node, "MatMul")
        if matmul is None or node.inputs[0] is node.inputs[1] or not space.selects(node, matmul):
            continue
        left, right = (_operand(value, matmul) for value in matmul.inputs)
        if left[0].dtype is None or left[0].dtype.name not in _TYPES:
            continue
        if _are_matrices(matmul) and _broadcasts(node.inputs[bias], matmul):
            return _merge(space, node, matmul, left, right, node.inputs[bias])
    return False


def _merge(
    space: Workspace,
    node: ir.Node,
    matmul: ir.Node,
    left: tuple[ir.Value, ir.Node | None],
    right: tuple[ir.Value, ir.Node | None],
    bias: ir.Value | None,
) -> bool:
    flips: dict[str, int] = {}
    inputs: list[ir.Value | None] = []
    gone: list[ir.Node] = []
    for name, (value, transpose), given in zip(("transA", "transB"), (left, right), matmul.inputs, strict=True):
        if transpose is not None and space.selects(transpose):
            flips[name] = 1
            inputs.append(value)
            gone.append(transpose)
        else:
            inputs.append(given)
    gemm = ir.node("Gemm", [*inputs, bias], {**flips})
    return replace(space, [*gone, matmul, node], gemm, f"stands for {matmul.name} and {node.name}")


def _operand(value: ir.Value | None, matmul: ir.Node) -> tuple[ir.Value, ir.Node | None]:
    """Give an operand, and the Transpose of a matrix before it that Gemm can do itself."""
    if value is None:
        raise ValueError(f"{matmul.name} lacks an input")
    transpose = made_by(value, matmul, "Transpose")
    if transpose is None or transpose.inputs[0] is None or integers(transpose, "perm") != [1, 0]:
        return value, None
    return transpose.inputs[0], transpose


def _are_matrices(matmul: ir.Node) -> bool:
    return rank_of(matmul.inputs[0]) == 2 and rank_of(matmul.inputs[1]) == 2


def _broadcasts(bias: ir.Value | None, matmul: ir.Node) -> bool:
    """Say whether a bias surely broadcasts to the product without making it larger."""
    shape = bias.shape if bias is not None else None
    left, right = (value.shape for value in matmul.inputs if value is not None)
    if shape is None or left is None or right is None or len(shape) > 2:
        return False
    target = [left[0], right[1]][2 - len(shape) :]
    return all(size == 1 or (isinstance(size, int) and size == want) for size, want in zip(shape, target, strict=True))
