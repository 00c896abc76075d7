"""Rules of operators that pick, pad, repeat and interleave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .arithmetic import entries_of, plain
from .regroup import regroup
from .rules import Rule, give_up
from .tracer import Tracer, given, number, numbers, text

if TYPE_CHECKING:
    import onnx_ir as ir

    from .cutting import Cut
    from .elements import Ids
    from .sizes import Size
    from .tracer import Axes


def gather(tracer: Tracer, node: ir.Node) -> None:
    """Rows of a table are looked up: the other axes keep their elements. A constant list of indices follows."""
    data, where = given(node, 0), given(node, 1)
    axes, rank = tracer.of(data), tracer.rank(where)
    if axes is None or rank is None:
        give_up(tracer, node)
        return
    axis = number(node, "axis", 0) % len(axes)
    ids, index = axes[axis], tracer.integers(where)
    tracer.lock_value(where, f"{tracer.describe(node)} looks things up by it") if index is None else None
    picked: Axes = [None] * rank
    if ids is not None and index is not None and rank == 1:
        chosen = np.asarray(index, dtype=np.int64) % len(ids)
        picked = [ids[chosen] if len(chosen) > 1 else None]
        if len(chosen) == 1:
            tracer.lock(ids[chosen], f"{tracer.describe(node)} picks it")
        tracer.fix(node, lambda cut: _new_indices(cut, node, ids, chosen))
    else:
        tracer.lock(ids, f"{tracer.describe(node)} looks it up by its position")
    sizes, looked = tracer.shape(data), tracer.shape(where)
    told = None if sizes is None or looked is None else [*sizes[:axis], *looked, *sizes[axis + 1 :]]
    tracer.set(node.outputs[0], [*axes[:axis], *picked, *axes[axis + 1 :]], told)
    if tracer.is_weight(data) and index is None and len(axes) == 2:
        tracer.layer(node, "maker", node.outputs[0], axes[1 - axis])


def _new_indices(cut: Cut, node: ir.Node, ids: Ids, chosen: Ids) -> None:
    keep = cut.keep(ids)
    if not keep.all():
        places = np.cumsum(keep) - 1
        cut.put(node, 1, [int(places[at]) for at in chosen if keep[at]])


def pad(tracer: Tracer, node: ir.Node) -> None:
    """Put new elements around; they go with whatever they meet."""
    axes = tracer.of(given(node, 0))
    if axes is None:
        give_up(tracer, node)
        return
    listed = numbers(node, "pads") or numbers(node, "paddings") if tracer.opset < 11 else None
    entries = np.array(listed, dtype=object) if listed is not None else entries_of(tracer, given(node, 1))
    over = tracer.integers(given(node, 3)) if given(node, 3) is not None else list(range(len(axes)))
    if entries is None or over is None or entries.size != 2 * len(over):
        give_up(tracer, node)
        return
    entries = entries.reshape(-1)
    places: dict[int, tuple[Ids, Ids]] = {}
    result = list(axes)
    for place, axis in enumerate(over):
        axis %= len(axes)
        ids, before, after = axes[axis], plain(entries[place]), plain(entries[place + len(over)])
        if ids is None or (before == 0 and after == 0):
            continue
        if before is None or after is None or before < 0 or after < 0 or text(node, "mode", "constant") != "constant":
            tracer.lock(ids, f"{tracer.describe(node)} pads it")
            result[axis] = None
            continue
        places[place] = tracer.elements.new(before), tracer.elements.new(after)
        result[axis] = np.concatenate([places[place][0], ids, places[place][1]])
    sizes: list[Size] = list(tracer.shape(node.inputs[0]) or [None] * len(axes))
    for place, axis in enumerate(over):
        size, before, after = sizes[axis], plain(entries[place]), plain(entries[place + len(over)])
        if before != 0 or after != 0:
            known = isinstance(size, int) and before is not None and after is not None
            sizes[axis] = sum(item for item in (size, before, after) if isinstance(item, int)) if known else None
    tracer.set(node.outputs[0], result, sizes)

    def fix(cut: Cut) -> None:
        new = {}
        for place, (before, after) in places.items():
            new[place], new[place + len(over)] = cut.size(before), cut.size(after)
        if all(plain(entries[at]) == size for at, size in new.items()):
            return
        whole = [new.get(at, plain(entry)) for at, entry in enumerate(entries)]
        if listed is not None:
            cut.set_integers(node, "pads", [size for size in whole if size is not None])
        elif None not in whole:
            cut.put(node, 1, [size for size in whole if size is not None])
        else:
            cut.put_some(node, 1, new, len(whole))

    tracer.fix(node, fix)


def tile(tracer: Tracer, node: ir.Node) -> None:
    """Repeat the elements of an axis."""
    axes = tracer.of(given(node, 0))
    shape = tracer.shape(given(node, 0))
    repeats = entries_of(tracer, given(node, 1))
    if axes is None or shape is None or repeats is None or repeats.size != len(axes):
        give_up(tracer, node)
        return
    result: Axes = []
    for ids, size, entry in zip(axes, shape, repeats.reshape(-1), strict=True):
        times = plain(entry)
        if ids is not None and times is None:
            tracer.lock(ids, f"{tracer.describe(node)} repeats it")
        if ids is not None and times is not None:
            result.append(np.tile(ids, times))
        else:
            # copies of a single one keep their number: it is written in the model
            result.append(None)
            del size
    tracer.set(node.outputs[0], result)


def depth_to_space(tracer: Tracer, node: ir.Node) -> None:
    """Channels come in blocks of which every position becomes a place in space."""
    value = given(node, 0)
    axes, shape = tracer.of(value), tracer.shape(value)
    if axes is None or shape is None or len(axes) != 4 or not isinstance(shape[1], int):
        give_up(tracer, node)
        return
    block = number(node, "blocksize", 1)
    depth = shape[1] // (block * block)
    columns_first = text(node, "mode", "DCR") == "CRD"
    grid: tuple[Size, ...] = (depth, block * block) if columns_first else (block * block, depth)
    parts = regroup(tracer, node, [axes[1]], [shape[1]], grid)
    inside, kept = (parts[1], parts[0]) if columns_first else (parts[0], parts[1])
    for ids in (inside, *axes[2:]):
        tracer.lock(ids, f"{tracer.describe(node)} spreads it in space")
    tracer.set(node.outputs[0], [axes[0], kept, None, None])


def space_to_depth(tracer: Tracer, node: ir.Node) -> None:
    """Every place of a block of space becomes a channel of its own, all channels of the first place first."""
    axes = tracer.of(given(node, 0))
    if axes is None or len(axes) != 4:
        give_up(tracer, node)
        return
    block = number(node, "blocksize", 1)
    for ids in axes[2:]:
        tracer.lock(ids, f"{tracer.describe(node)} spreads it in depth")
    whole = None if axes[1] is None else np.tile(axes[1], block * block)
    tracer.set(node.outputs[0], [axes[0], whole, None, None])


RULES: dict[str, Rule] = {
    "Gather": gather,
    "Pad": pad,
    "Tile": tile,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
}
