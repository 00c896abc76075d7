"""Dynamic dimensions of a model's inputs, and the sizes that a user gives them."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from studio.api import PassError, nearest

from .names import all_graphs

#: names that mean "dynamic" and do not say that two dimensions are the same
PLACEHOLDERS = ("?", "None", "-1")
FORM = "Write dims=NAME=SIZE or dims=INPUT:AXIS=SIZE, several joined by '|'."
_OPERATIONS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
}


@dataclass
class Sizes:
    """Sizes of dynamic dimensions: of all that bear a name, and of single axes of inputs."""

    named: dict[str, int] = field(default_factory=dict)
    axes: dict[tuple[str, int], int] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Write them for people."""
        axes = {f"{name}:{axis}": size for (name, axis), size in self.axes.items()}
        return ", ".join(f"{name}={size}" for name, size in {**self.named, **axes}.items())


def dynamic_dims(model: ir.Model) -> dict[tuple[str, int], str]:
    """List the dynamic dimensions of the inputs that a caller feeds: input and axis to the name, empty without one."""
    found = {}
    for value in model.graph.inputs:
        if value.name in model.graph.initializers:
            continue
        for axis, size in enumerate(value.shape or ()):
            if is_dynamic(size):
                found[str(value.name), axis] = name_of(size)
    return found


def is_dynamic(size: int | ir.SymbolicDim) -> bool:
    """Say whether a dimension is dynamic; some exporters write a negative size for one."""
    return isinstance(size, ir.SymbolicDim) or size < 0


def name_of(size: int | ir.SymbolicDim) -> str:
    """Give the name of a dynamic dimension; empty where exporters write a placeholder that several share."""
    name = (size.value or "") if isinstance(size, ir.SymbolicDim) else ""
    return "" if name in PLACEHOLDERS else name


def known_names(dynamic: Mapping[tuple[str, int], str]) -> list[str]:
    """List what a user may give sizes for, in the order of the inputs."""
    return list(dict.fromkeys(name or f"{of}:{axis}" for (of, axis), name in dynamic.items()))


def read_sizes(model: ir.Model, entries: Sequence[str], others: int = 0) -> Sizes:
    """Read what a user wrote, against the inputs of a model.

    Parameters
    ----------
    entries
        Each ``NAME=SIZE`` or ``INPUT:AXIS=SIZE``. An axis whose dimension has a name stands for the name.
    others
        Size of the dynamic dimensions that are not listed; 0 leaves them dynamic.

    Raises
    ------
    PassError
        For another form, an unknown name, or two sizes for one dimension.
    """
    dynamic = dynamic_dims(model)
    sizes = Sizes()
    for entry in entries:
        name, _, number = entry.rpartition("=")
        if not name.strip() or not number.strip().isdecimal() or not int(number):
            raise PassError(f"{entry!r} is not the size of a dimension.", FORM)
        _enter(sizes, model, dynamic, name.strip(), int(number))
    if others:
        for (of, axis), name in dynamic.items():
            if name:
                sizes.named.setdefault(name, others)
            else:
                sizes.axes.setdefault((of, axis), others)
    return sizes


def _enter(sizes: Sizes, model: ir.Model, dynamic: Mapping[tuple[str, int], str], name: str, size: int) -> None:
    if name in dynamic.values():
        _agree(name, sizes.named.setdefault(name, size), size)
        return
    place = _place(name)
    if place in dynamic:
        if dynamic[place]:
            _enter(sizes, model, dynamic, dynamic[place], size)
        else:
            _agree(name, sizes.axes.setdefault(place, size), size)
        return
    _agree(name, _fixed(model, place, name, dynamic), size)


def _place(name: str) -> tuple[str, int]:
    of, _, axis = name.rpartition(":")
    return (of, int(axis)) if axis.isdecimal() else ("", -1)


def _fixed(model: ir.Model, place: tuple[str, int], name: str, dynamic: Mapping[tuple[str, int], str]) -> int:
    """Give the size of an axis that is fixed already.

    Raises
    ------
    PassError
        Where there is no such axis.
    """
    shapes = {str(value.name): list(value.shape) for value in model.graph.inputs if value.shape is not None}
    dims = shapes.get(place[0], [])
    size = dims[place[1]] if 0 <= place[1] < len(dims) else None
    if not isinstance(size, int) or size < 0:
        raise PassError(f"No input has a dynamic dimension {name!r}.", nearest(name, known_names(dynamic)) or FORM)
    return size


def _agree(name: str, one: int, other: int) -> None:
    if one != other:
        raise PassError(f"The dimension {name!r} cannot be both {one} and {other}.", "Give it one size.")


def set_sizes(model: ir.Model, sizes: Sizes) -> int:
    """Write sizes into every shape of the model, of inner tensors and subgraphs too; give how many dimensions."""
    count = 0
    for graph in all_graphs(model):
        values = [*graph.inputs, *graph.outputs, *(value for node in graph for value in node.outputs)]
        for value in dict.fromkeys(values):
            axes = sizes.axes if graph is model.graph and value.is_graph_input() else {}
            count += _set_one(value, sizes.named, axes)
    return count


def _set_one(value: ir.Value, named: Mapping[str, int], axes: Mapping[tuple[str, int], int]) -> int:
    if value.shape is None:
        return 0
    dims = [_size(value, axis, size, named, axes) for axis, size in enumerate(value.shape)]
    fixed = sum(map(is_dynamic, value.shape)) - sum(map(is_dynamic, dims))
    value.shape = ir.Shape(dims)
    return fixed


def _size(
    value: ir.Value,
    axis: int,
    size: int | ir.SymbolicDim,
    named: Mapping[str, int],
    axes: Mapping[tuple[str, int], int],
) -> int | ir.SymbolicDim:
    if not is_dynamic(size):
        return size
    name = name_of(size)
    found = evaluate(name, named) if name else axes.get((str(value.name), axis))
    if found is not None:
        return found
    return size if isinstance(size, ir.SymbolicDim) else ir.SymbolicDim(None)


def evaluate(name: str, named: Mapping[str, int]) -> int | None:
    """Give the size of a dimension from its name, such as ``past + sequence``; None where a part is not known."""
    if name in named:
        return named[name]
    try:
        return _value(ast.parse(name, mode="eval").body, named)
    except (SyntaxError, ValueError, ZeroDivisionError):
        return None


def _value(tree: ast.expr, named: Mapping[str, int]) -> int | None:
    if isinstance(tree, ast.Name):
        return named.get(tree.id)
    if isinstance(tree, ast.Constant):
        return tree.value if type(tree.value) is int else None
    if isinstance(tree, ast.BinOp) and type(tree.op) in _OPERATIONS:
        left, right = _value(tree.left, named), _value(tree.right, named)
        return None if left is None or right is None else _OPERATIONS[type(tree.op)](left, right)
    return None
