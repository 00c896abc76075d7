"""What a model gives away about the inputs that it was trained or calibrated on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from studio.core.grafting.regions import constant_of

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

#: BatchNormalizations that are looked at, the first of the graph
FIRST = 3
#: operators that pass an input's values on to its quantization
_PASS_ON = frozenset({"Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Cast"})


@dataclass(frozen=True)
class Learned:
    """Statistics that a BatchNormalization keeps from training, float64 of shape ``(channels,)``."""

    node: str
    tensor: str
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]


@dataclass(frozen=True)
class Range:
    """The range that an input is quantized to."""

    input: str
    low: float
    high: float


def learned_statistics(model: ir.Model) -> list[Learned]:
    """Find the first BatchNormalizations with constant statistics."""
    import numpy as np

    found = []
    for node in model.graph:
        if node.op_type != "BatchNormalization" or len(node.inputs) < 5 or node.inputs[0] is None:
            continue
        mean, variance = constant_of(node.inputs[3]), constant_of(node.inputs[4])
        if mean is None or variance is None or _trains(node):
            continue
        epsilon = node.attributes.get_float("epsilon", 1e-5)
        arrays = (mean.numpy().astype(np.float64), variance.numpy().astype(np.float64) + epsilon)
        found.append(Learned(str(node.name or node.outputs[0].name), str(node.inputs[0].name), *arrays))
        if len(found) == FIRST:
            break
    return found


def calibrated_ranges(model: ir.Model) -> list[Range]:
    """Find the inputs that are quantized as they come in, and to which range."""
    found = []
    for value in model.graph.inputs:
        for node in _readers(value):
            scale, zero = (constant_of(item) for item in (*node.inputs[1:3], None)[:2])
            if scale is None or scale.size != 1:
                continue
            low, high = _limits(zero)
            base = float(zero.numpy().reshape(-1)[0]) if zero is not None else 0.0
            step = float(scale.numpy().reshape(-1)[0])
            found.append(Range(str(value.name), (low - base) * step, (high - base) * step))
            break
    return found


class ChannelMoments:
    """Running mean and variance of each channel (axis 1) of a tensor."""

    def __init__(self) -> None:
        self._count = 0
        self._sum: Any = 0.0
        self._squares: Any = 0.0

    def add(self, array: NDArray[Any]) -> None:
        """Take in a batch."""
        import numpy as np

        flat = np.moveaxis(array.astype(np.float64), 1, 0).reshape(array.shape[1], -1)
        self._count += flat.shape[1]
        self._sum = self._sum + flat.sum(axis=1)
        self._squares = self._squares + np.square(flat).sum(axis=1)

    def divergence(self, learned: Learned) -> float:
        """Give the median over channels of the divergence of what was seen from what was learned, both as normal."""
        import numpy as np

        mean = self._sum / self._count
        least = 1e-6 * learned.variance + 1e-12
        variance = np.maximum(self._squares / self._count - mean**2, least)
        ratio = variance / learned.variance
        away = (mean - learned.mean) ** 2 / learned.variance
        return float(np.median(0.5 * (ratio + away - 1 - np.log(ratio))))


def _trains(node: ir.Node) -> bool:
    mode = node.attributes.get("training_mode")
    return mode is not None and bool(mode.as_int())


def _readers(value: ir.Value) -> list[ir.Node]:
    found: list[ir.Node] = []
    stack = [value]
    while stack:
        for node, index in stack.pop().uses():
            if node.op_type == "QuantizeLinear" and index == 0:
                found.append(node)
            elif node.op_type in _PASS_ON and index == 0:
                stack += node.outputs
    return found


def _limits(zero: Any) -> tuple[float, float]:
    import numpy as np

    try:
        info = np.iinfo(zero.numpy().dtype) if zero is not None else np.iinfo(np.uint8)
    except ValueError:
        return -128.0, 127.0
    return float(info.min), float(info.max)
