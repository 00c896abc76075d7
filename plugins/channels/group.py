"""Units of a network that can be taken out together: channels, neurons, hidden states, heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Units = NDArray[np.intp]

Kind = Literal["channels", "neurons", "heads", "states"]


@dataclass(frozen=True)
class Port:
    """Where the units of a group stand in the input or output of a layer with a weight.

    Attributes
    ----------
    node
        Name of the layer, as `studio.api.node_names` has it.
    tensor
        The activation that holds the units: the layer's input for a reader, its output for a maker.
    units
        ``(channels,)``: the unit that each channel of that activation belongs to, in the order of the layer's
        weight (input channels of a Conv, columns of a Gemm or MatMul); -1 for a channel of no unit of this group.
    """

    node: str
    tensor: str
    units: Units


@dataclass(frozen=True)
class Group:
    """Units that are alike: any of them may be removed, without a trace, from all tensors that hold it.

    Attributes
    ----------
    key
        A stable name: that of the first tensor in graph order that holds the units.
    size
        How many units; unit indices are ``0 .. size - 1``.
    makers
        Layers with a weight whose outputs are the units.
    readers
        Layers with a weight whose inputs are the units; their other columns can make up for what goes.
    parts
        ``(size,)``: the same number of units must stay in each part (the groups of a grouped convolution, the
        query heads of a key-value head); all 0 where there is one part.
    locked
        Why no unit may go; empty when they may.
    parameters
        Elements of weights that go with one unit, on average.
    macs
        Multiply-accumulates of one sample that go with one unit, on average; dimensions that are not known
        count as 1.
    """

    key: str
    kind: Kind
    size: int
    makers: tuple[Port, ...]
    readers: tuple[Port, ...]
    parts: Units
    locked: str = ""
    parameters: float = 0.0
    macs: float = 0.0
