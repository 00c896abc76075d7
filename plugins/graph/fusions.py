"""The portable fusions, in the order in which they are tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import onnx_ir as ir

from .fuse_affine import fuse_affine
from .fuse_clip import fuse_clips
from .fuse_gelu import fuse_gelu
from .fuse_gemm import fuse_gemm
from .fuse_hard_swish import fuse_hard_swish
from .fuse_layer_norm import fuse_layer_norm
from .fuse_pad import fuse_pad
from .workspace import Workspace

if TYPE_CHECKING:
    from .fuse import FuseParams

Fusion = Callable[[Workspace, ir.Node], bool]
#: rounds until no fusion opens the way for another
ROUNDS = 8


def fuse_portably(space: Workspace, params: FuseParams) -> dict[str, int]:
    """Make the fusions that are switched on, until none fits any more.

    Returns
    -------
    dict
        What was made to how often, in words: ``{"LayerNormalization": 12}``.
    """
    fusions: list[tuple[bool, str, Fusion]] = [
        (params.hard_swish, "HardSwish", fuse_hard_swish),
        (params.gelu, "Gelu", fuse_gelu),
        (params.layer_norm, "LayerNormalization", fuse_layer_norm),
        (params.gemm, "MatMul and Add", fuse_gemm),
        (params.affine, "scale or shift", fuse_affine),
        (params.pads, "Pad into Conv", fuse_pad),
        (params.clips, "Relu or Clip", fuse_clips),
    ]
    active = [(name, fusion) for on, name, fusion in fusions if on]
    counts: Counter[str] = Counter()
    for number in range(ROUNDS):
        before = space.edits
        space.reporter.progress(number, ROUNDS + 1, "fusing")
        for node in space.nodes():
            space.reporter.check()
            name = _first(space, node, active)
            counts[name] += 1 if name else 0
        if space.edits == before:
            break
    space.drop_unread_weights()
    return {name: count for name, count in counts.items() if count}


def _first(space: Workspace, node: ir.Node, fusions: list[tuple[str, Fusion]]) -> str:
    """Try the fusions that end with a node, and give the name of the one that fits."""
    if node.graph is None:
        return ""
    return next((name for name, fusion in fusions if fusion(space, node)), "")
