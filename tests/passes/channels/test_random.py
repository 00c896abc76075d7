"""The central property on random architectures made of all the operators."""

from __future__ import annotations

import hypothesis
import hypothesis.strategies as st

from .build import Net, check

Tensor = tuple[str, int]
#: steps that a random network is made of
STEPS = (
    "conv", "pointwise", "depthwise", "grouped", "norm", "relu", "prelu", "add", "gate", "concat", "split", "slice",
    "shuffle", "excite", "pad", "pool", "tokens", "scale", "flip", "gather",
)  # fmt: skip


class Random:
    """Grows a network by drawing steps; every tensor is ``(N, channels, 6, 6)``."""

    def __init__(self, data: st.DataObject, seed: int) -> None:
        self.net = Net(seed=seed)
        self.data = data
        self.tensors: list[Tensor] = [(self.net.input("x", ["N", 3, 6, 6]), 3)]
        self.tensors.append((self.net.conv("x", 3, 12), 12))

    def pick(self) -> Tensor:
        return self.data.draw(st.sampled_from(self.tensors[1:]))

    def step(self, name: str) -> None:
        x, channels = self.pick()
        self.tensors.extend(getattr(self, name)(x, channels))

    def conv(self, x: str, channels: int) -> list[Tensor]:
        return [(self.net.conv(x, channels, 12), 12)]

    def pointwise(self, x: str, channels: int) -> list[Tensor]:
        return [(self.net.conv(x, channels, 8, 1), 8)]

    def depthwise(self, x: str, channels: int) -> list[Tensor]:
        return [(self.net.conv(x, channels, channels, group=channels), channels)]

    def grouped(self, x: str, channels: int) -> list[Tensor]:
        return [(self.net.conv(x, channels, 12, group=2), 12)] if channels % 2 == 0 else []

    def norm(self, x: str, channels: int) -> list[Tensor]:
        return [(self.net.norm(x, channels), channels)]

    def relu(self, x: str, channels: int) -> list[Tensor]:
        return [(self.net.op("Relu", x), channels)]

    def prelu(self, x: str, channels: int) -> list[Tensor]:
        return [(self.net.op("PRelu", x, self.net.weight(channels, 1, 1)), channels)]

    def add(self, x: str, channels: int) -> list[Tensor]:
        other = self.data.draw(st.sampled_from([name for name, size in self.tensors if size == channels]))
        return [(self.net.op("Add", x, other), channels)]

    def gate(self, x: str, channels: int) -> list[Tensor]:
        other = self.data.draw(st.sampled_from([name for name, size in self.tensors if size == channels]))
        return [(self.net.op("Mul", x, self.net.op("Tanh", other)), channels)]

    def concat(self, x: str, channels: int) -> list[Tensor]:
        other, more = self.pick()
        return [(self.net.op("Concat", x, other, axis=1), channels + more)] if channels + more <= 40 else []

    def split(self, x: str, channels: int) -> list[Tensor]:
        if channels < 6:
            return []
        one, other = self.net.op("Split", x, self.net.ints(channels - channels // 3, channels // 3), axis=1, outputs=2)
        return [(one, channels - channels // 3), (other, channels // 3)]

    def slice(self, x: str, channels: int) -> list[Tensor]:
        ends = self.net.ints(channels - 1), self.net.ints(1)
        return [(self.net.op("Slice", x, self.net.ints(1), *ends), channels - 2)] if channels > 5 else []

    def shuffle(self, x: str, channels: int) -> list[Tensor]:
        if channels % 2:
            return []
        grid = self.net.op("Reshape", x, self.net.ints(0, 2, channels // 2, 6, 6))
        turned = self.net.op("Transpose", grid, perm=[0, 2, 1, 3, 4])
        return [(self.net.op("Reshape", turned, self.net.ints(0, channels, 6, 6)), channels)]

    def excite(self, x: str, channels: int) -> list[Tensor]:
        squeezed = self.net.conv(self.net.op("GlobalAveragePool", x), channels, 4, 1)
        gate = self.net.op("Sigmoid", self.net.conv(self.net.op("Relu", squeezed), 4, channels, 1))
        return [(self.net.op("Mul", x, gate), channels)]

    def pad(self, x: str, channels: int) -> list[Tensor]:
        return [(self.net.op("Pad", x, self.net.ints(0, 1, 0, 0, 0, 2, 0, 0)), channels + 3)]

    def pool(self, x: str, channels: int) -> list[Tensor]:
        return [(self.net.op("AveragePool", x, kernel_shape=[3, 3], pads=[1] * 4), channels)]

    def tokens(self, x: str, channels: int) -> list[Tensor]:
        flat = self.net.op("Transpose", self.net.op("Reshape", x, self.net.ints(0, 0, -1)), perm=[0, 2, 1])
        mixed = self.net.op("Transpose", self.net.linear(flat, channels, 10), perm=[0, 2, 1])
        return [(self.net.op("Reshape", mixed, self.net.ints(0, 10, 6, 6)), 10)]

    def scale(self, x: str, channels: int) -> list[Tensor]:
        return [(self.net.op("Mul", x, self.net.weight(1, channels, 1, 1)), channels)]

    def flip(self, x: str, channels: int) -> list[Tensor]:
        bounds = self.net.ints(-1), self.net.ints(-(2**62)), self.net.ints(1), self.net.ints(-1)
        return [(self.net.op("Slice", x, *bounds), channels)]

    def gather(self, x: str, channels: int) -> list[Tensor]:
        order = self.net.ints(*[(3 * at + 1) % channels for at in range(channels)])
        return [(self.net.op("Gather", x, order, axis=1), channels)]


@hypothesis.settings(
    derandomize=True, max_examples=25, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)
@hypothesis.given(st.lists(st.sampled_from(STEPS), min_size=4, max_size=14), st.integers(0, 99), st.data())
def test_silent_units_leave_without_a_trace(steps: list[str], seed: int, data: st.DataObject) -> None:
    grown = Random(data, seed)
    for step in steps:
        grown.step(step)
    used = {name for node in grown.net.nodes for name in node.input}
    ends = [tensor for tensor in grown.tensors if tensor[0] not in used] or grown.tensors[-1:]
    heads = [grown.net.head(name, channels) for name, channels in ends]
    check(grown.net, *heads, seed=seed)
