"""Following the batch through a graph, and mending the nodes that hard-code its size.

Shapes are inferred twice: as the model states them, and with the batch as an unknown. Where a dimension was
known before and is not any more, it carries the batch; a node that takes such a dimension and gives none hard-codes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from studio.api import PassError, nearest

from .batch_mending import Batching, Places, mend
from .dims import Sizes, is_dynamic, name_of, set_sizes
from .infer import infer_shapes
from .values import is_op
from .workspace import Workspace

#: rounds of inferring and mending; a chain of hard-coded shapes takes one for each
ROUNDS = 200
#: operators whose result is about the shape of their input, not its content
_ABOUT_SHAPES = ("Shape", "Size")


def rebatch(space: Workspace, size: int, name: str, axes: Sequence[str]) -> Places:
    """Give the model another batch in place; nothing is edited where it has it already.

    Parameters
    ----------
    size
        Samples of one inference; 0 for a dynamic batch.
    name
        Name of the dynamic dimension.
    axes
        ``INPUT:AXIS`` where the samples are not along the first axis.

    Raises
    ------
    PassError
        When it is impossible, with the node that makes it so.
    """
    from .contradictions import contradictions, refuse_contradictions
    from .freeze_shapes import fold_shapes

    places = find_batch(space.model, axes)
    if places.size == size:
        return places
    known = contradictions(space.model)
    if places.size:
        name = _free_name(space.model, name)
        free(space, places, name)
    else:
        name = ""
    sizes = Sizes({name: size} if name else {}, {})
    for of, axis in places.inputs.items():
        value = next(value for value in space.model.graph.inputs if value.name == of)
        own = name_of(list(value.shape or ())[axis])
        if own:
            sizes.named[own] = size
        else:
            sizes.axes[of, axis] = size
    if size:
        space.edits += set_sizes(space.model, sizes)
        infer_shapes(space.model, outputs=True)
        fold_shapes(space, survey=False)
    refuse_contradictions(space.model, known, f"A batch of {size}" if size else "A dynamic batch")
    return places


def find_batch(model: ir.Model, axes: Sequence[str]) -> Places:
    """Find the axis of the samples of each input, and their number.

    Without being told it is the axis whose dimension is named after a batch, else the first.
    """
    inputs = [value for value in model.graph.inputs if not value.is_initializer()]
    told = _told(axes, [str(value.name) for value in inputs])
    places, found = Places(), {}
    for value in inputs:
        axis = told.get(str(value.name), _batch_axis(value))
        if axis is None:
            continue
        if value.shape is None or not 0 <= axis < len(value.shape):
            raise PassError(f"The input {value.name!r} has no axis {axis}.", "Give axes=INPUT:AXIS, counted from 0.")
        places.inputs[str(value.name)] = axis
        dim = value.shape[axis]
        found[str(value.name)] = 0 if is_dynamic(dim) else int(str(dim))
    if not found:
        raise PassError("No input has a batch axis.", "Give axes=INPUT:AXIS, counted from 0.")
    if len(set(found.values())) > 1:
        listed = ", ".join(f"{name} {size or 'dynamic'}" for name, size in found.items())
        raise PassError(f"The inputs begin with different sizes: {listed}.", "Say where the samples are with axes=.")
    places.size = next(iter(found.values()))
    return places


def _told(axes: Sequence[str], names: Sequence[str]) -> dict[str, int | None]:
    told: dict[str, int | None] = {}
    for entry in axes:
        name, _, axis = entry.rpartition(":")
        if name not in names:
            raise PassError(f"The model has no input {name or entry!r}.", nearest(name or entry, names))
        if axis != "none" and not axis.isdecimal():
            raise PassError(f"{entry!r} is not INPUT:AXIS.", "Give axes=INPUT:AXIS, counted from 0, or INPUT:none.")
        told[name] = None if axis == "none" else int(axis)
    return told


def _batch_axis(value: ir.Value) -> int | None:
    if value.shape is None or not len(value.shape):
        return None
    named = [axis for axis, dim in enumerate(value.shape) if "batch" in name_of(dim).lower()]
    if named:
        return named[0]
    reads = {(use.node.op_type, use.idx) for use in value.uses() if is_op(use.node, "LSTM", "GRU", "RNN")}
    return 1 if reads and all(index in (0, 5, 6) for _, index in reads) else 0


def _free_name(model: ir.Model, name: str) -> str:
    taken = {name_of(dim) for value in model.graph.inputs for dim in value.shape or ()}
    while name in taken:
        name += "_"
    return name


def free(space: Workspace, places: Places, name: str) -> None:
    """Make the batch dynamic, and mend what hard-codes it."""
    model = space.model
    infer_shapes(model)
    before = {value: _dims(value) for graph in space.graphs for node in graph for value in node.outputs}
    before.update({value: _dims(value) for graph in space.graphs for value in graph.inputs})
    for of, axis in places.inputs.items():
        value = next(value for value in model.graph.inputs if value.name == of)
        dims = list(value.shape or ())
        dims[axis] = ir.SymbolicDim(name)
        value.shape = ir.Shape(dims)
    space.edits += 1
    batching = Batching(space, before, places)
    for _ in range(ROUNDS):
        space.reporter.check()
        _forget(space)
        infer_shapes(model, outputs=True)
        edits = space.edits
        for node in space.nodes():
            if node.graph is not None:
                mend(batching, node)
        if space.edits == edits:
            break
    _refuse_losses(space, batching)
    for value in model.graph.outputs:
        found = batching.axis(value)
        if found is not None:
            axis = found
            places.outputs[str(value.name)] = axis
            dims = list(value.shape or ())
            dims[axis] = ir.SymbolicDim(name) if before[value][axis] == places.size else dims[axis]
            value.shape = ir.Shape(dims)


def _dims(value: ir.Value) -> list[int | None]:
    return [dim if isinstance(dim, int) and dim >= 0 else None for dim in value.shape or ()]


def _forget(space: Workspace) -> None:
    """Let every shape be inferred anew, those of outputs too; ranks stay where they were known."""
    for graph in space.graphs:
        stated = [*graph.outputs, *(graph.inputs if graph is not space.model.graph else ())]
        for value in stated:
            value.shape = None if value.shape is None else ir.Shape([None] * len(value.shape))
        for node in graph:
            for value in node.outputs:
                value.shape = value.shape if value.is_graph_output() else None


def _refuse_losses(space: Workspace, batching: Batching) -> None:
    """Refuse a node that takes the batch and surely gives none."""
    for node in space.model.graph:
        carried = [value for value in node.inputs if value is not None and batching.axis(value) is not None]
        if not carried or is_op(node, *_ABOUT_SHAPES):
            continue
        if any(_surely_without(value, batching) for value in node.outputs if value.uses() or value.is_graph_output()):
            raise PassError(
                f"The batch ends at the node {node.name!r} ({node.op_type}): its result has none.",
                "Extract the part before it with graph.extract, or give the axis of the samples with axes=.",
            )


def _surely_without(value: ir.Value, batching: Batching) -> bool:
    known = value.shape is not None and all(isinstance(dim, int) for dim in value.shape)
    return known and batching.axis(value) is None
