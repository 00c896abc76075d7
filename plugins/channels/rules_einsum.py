"""The rule of Einsum: axes with the same letter are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .rules import Rule, give_up
from .tracer import Tracer, text

if TYPE_CHECKING:
    import onnx_ir as ir

    from .elements import Ids
    from .sizes import Size


def einsum(tracer: Tracer, node: ir.Node) -> None:
    """Join the axes of each letter; a weight makes those that it alone brings in, and reads those summed over."""
    equation = text(node, "equation", "").replace(" ", "")
    terms, arrow, output = equation.partition("->")
    operands = terms.split(",")
    values = [value for value in node.inputs if value is not None]
    axes = [tracer.of(value) for value in values]
    shapes = [tracer.shape(value) for value in values]
    fits = len(operands) == len(values) and all(
        found is not None and len(found) == len(term) == len(set(term))
        for found, term in zip(axes, operands, strict=False)
    )
    if not arrow or "." in equation or not fits:
        give_up(tracer, node)
        return
    letters: dict[str, Ids | None] = {}
    sizes: dict[str, Size] = {}
    reason = f"{tracer.describe(node)} combines it with something that keeps its size"
    for term, found, shape in zip(operands, axes, shapes, strict=True):
        for letter, ids, size in zip(term, found or [], shape or (), strict=True):
            if size == 1 and letter in sizes:
                continue
            fresh = letter not in letters or sizes[letter] == 1
            letters[letter] = ids if fresh else tracer.join(letters[letter], ids, reason)
            sizes[letter] = size
    tracer.set(node.outputs[0], [letters[letter] for letter in output], [sizes[letter] for letter in output])
    tracer.count(tracer.volume(list(sizes.values())), *letters.values())
    weights = [tracer.is_weight(value) for value in values]
    if len(values) == 2 and weights.count(True) == 1:
        weight, other = (0, 1) if weights[0] else (1, 0)
        for letter in operands[weight]:
            if letter in output and letter not in operands[other]:
                tracer.layer(node, "maker", node.outputs[0], letters[letter])
            elif letter in operands[other] and letter not in output:
                tracer.layer(node, "reader", values[other], letters[letter])
    else:
        # a letter of several operands and of the result counts what is done side by side: heads, say
        tracer.heads.extend(
            ids
            for letter, ids in letters.items()
            if ids is not None and letter in output and _everywhere(letter, operands)
        )


def _everywhere(letter: str, operands: list[str]) -> bool:
    return all(letter in term for term in operands)


RULES: dict[str, Rule] = {"Einsum": einsum}
