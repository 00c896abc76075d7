"""`prune.heads`: whole attention heads go."""

from __future__ import annotations

from typing import ClassVar

from studio.api import Params, param

from .channels import Channels, ChannelsParams, Target


class HeadsParams(ChannelsParams):
    """How many heads to take out, and how to make up for them."""

    target: Target = param(
        "ratio",
        "What the ratio is a share of: heads of each layer, time on this machine, multiply-accumulates, parameters; "
        "or as much as the accuracy floor allows.",
        candidates=("ratio", "macs"),
    )
    ratio: float = param(0.25, "Share to take away of what the target says.", ge=0, le=1, candidates=(0.1, 0.25, 0.4))
    multiple: int = param(1, "What stays of a layer's heads is a multiple of it.", ge=1, le=256, advanced=True)
    min_channels: int = param(1, "Leave at least so many heads in each layer.", title="Min heads", ge=1, le=100_000)


class Heads(Channels):
    """Take attention heads out of query, key, value and output, and refit the rest (after Michel et al. 2019)."""

    id = "prune.heads"
    title = "Prune attention heads"
    summary = "Remove attention heads physically, and fit the rest to the original outputs."
    Params: ClassVar[type[Params]] = HeadsParams
    kinds: ClassVar[tuple[str, ...]] = ("heads",)
    what: ClassVar[str] = "heads"
