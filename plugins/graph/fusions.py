"""The portable fusions, in the order in which they are tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import onnx_ir as ir

from .fuse_affine import fuse_affine
from .fuse_attention import fuse_attention
from .fuse_clip import fuse_clips
from .fuse_conv import fuse_conv_activation, fuse_conv_add
from .fuse_gelu import fuse_gelu
from .fuse_gemm import fuse_gemm
from .fuse_hard_swish import fuse_hard_swish
from .fuse_layer_norm import fuse_layer_norm
from .fuse_pad import fuse_pad
from .fuse_rms_norm import fuse_rms_norm
from .fuse_skip import fuse_bias_gelu, fuse_skip_layer_norm
from .workspace import MICROSOFT, Workspace

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
    own = params.engine == "microsoft"
    fusions: list[tuple[bool, str, Fusion]] = [
        (params.hard_swish, "HardSwish", fuse_hard_swish),
        (params.gelu, "Gelu", partial(fuse_gelu, microsoft=own)),
        (params.layer_norm, "LayerNormalization", fuse_layer_norm),
        (params.rms_norm, "RMSNormalization", fuse_rms_norm),
        (params.attention, "attention", partial(fuse_attention, microsoft=own)),
        (params.gemm, "MatMul and Add", fuse_gemm),
        (params.affine, "scale or shift", fuse_affine),
        (params.pads, "Pad into Conv", fuse_pad),
        (params.clips, "Relu or Clip", fuse_clips),
    ]
    counts = _until_done(space, fusions)
    if own:
        # last: the others look for the operators of the standard
        counts += _until_done(
            space,
            [
                (params.conv_add, "Conv, Add and activation", fuse_conv_add),
                (params.conv_activation, "Conv and activation", fuse_conv_activation),
                (params.skip_layer_norm, "Add and LayerNormalization", fuse_skip_layer_norm),
                (params.bias_gelu, "bias and Gelu", fuse_bias_gelu),
            ],
        )
    if any(node.domain == MICROSOFT for node in space.nodes()):
        space.model.opset_imports.setdefault(MICROSOFT, 1)
    space.drop_unread_weights()
    return {name: count for name, count in counts.items() if count}


def _until_done(space: Workspace, fusions: list[tuple[bool, str, Fusion]]) -> Counter[str]:
    """Try fusions on every node until none fits any more, and count."""
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
    return counts


def _first(space: Workspace, node: ir.Node, fusions: list[tuple[str, Fusion]]) -> str:
    """Try the fusions that end with a node, and give the name of the one that fits."""
    if node.graph is None:
        return ""
    return next((name for name, fusion in fusions if fusion(space, node)), "")
