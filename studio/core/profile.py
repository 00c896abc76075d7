"""Where the time of a model goes: every kernel that its runtime executes, led back to the model's nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from studio.core.attribution import CORES
from studio.core.frozen import Frozen
from studio.core.runtime import ExecutedNode, RunOptions

#: What a kernel is for. "conversion" changes the type of values, "reorder" their layout.
LayerKind = Literal["compute", "conversion", "reorder", "other"]

_CONVERSIONS = frozenset(
    ["QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast", "Convert", "FakeQuantize", "CastLike"]
)
_REORDERS = frozenset(
    ["Reorder", "ReorderInput", "ReorderOutput", "Transpose", "Permute", "MemcpyFromHost", "MemcpyToHost"]
)
#: operators that ask for integers, alone or with what they are fused with
_STATED = frozenset(["ConvInteger", "MatMulInteger", "DequantizeLinear"])


class LayerProfile(Frozen):
    """A kernel as it was executed, with its counters on.

    Attributes
    ----------
    name, operator
        What the runtime calls it, and the operator as the runtime sees it.
    nanoseconds
        Time of one inference, typical over the runs; inside a subgraph summed over its executions.
    precision
        Element type that it computes in, such as ``"f32"`` or ``"u8"``; empty when unknown.
    layout
        Layout of its output as the runtime names it: ``"nchwc"``, ``"acdb"``.
    kernel
        The implementation, such as ``"brgconv_avx2_f32"``.
    placement
        Spec of the device that executed it.
    kind
        What it is for.
    inserted
        Whether the runtime put it there: no node of the model asks for it.
    nodes
        Nodes of the model that it executes; several when they were fused.
    operators
        Operator of each of these.
    origins
        Nodes of the source model that these came from.
    feeds
        Nodes that the kernels after it execute.
    macs
        Multiply-accumulates; 0 where there are none, or the shapes are not known.
    bytes
        Bytes that it must read and write at least, weights included; 0 when unknown.
    cores
        Of `nodes`, those that do multiply-accumulate.
    shape
        Shape of what the last of them (else of the nodes) makes; empty when unknown.
    """

    name: str
    operator: str
    nanoseconds: int
    precision: str = ""
    layout: str = ""
    kernel: str = ""
    placement: str = ""
    kind: LayerKind = "other"
    inserted: bool = False
    nodes: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    feeds: tuple[str, ...] = ()
    macs: int = 0
    bytes: int = 0
    cores: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()

    @property
    def milliseconds(self) -> float:
        """Time of one inference in milliseconds."""
        return self.nanoseconds / 1e6

    @property
    def stated_integer(self) -> bool:
        """Whether the model asks for arithmetic in 8 bits here, whatever ran."""
        return any(operator in _STATED or operator.startswith("QLinear") for operator in self.operators)

    @property
    def integer(self) -> bool:
        """Whether it computes in 8 bits or fewer."""
        return self.precision in ("u8", "i8", "u4", "i4", "nf4", "u1", "u2", "i2")


class Profile(Frozen):
    """Where the time of one model on one device goes.

    Attributes
    ----------
    layers
        Executed kernels in order; empty where the runtime has no counters.
    clean_ns
        Median latency in nanoseconds without counters; None when it was not measured.
    beside_ns
        Latency without counters, taken in turns with the counted runs (the calmest turn of each), less what
        other programs took of the processor meanwhile: what the sum of the layers is held against.
    samples
        Inferences that `clean_ns` is the median of.
    runs
        Inferences that the layers' times are typical of.
    threads
        Threads asked for; None when the runtime chose.
    placement
        Devices that execute it: spec to number of nodes.
    """

    model_name: str
    model_sha256: str
    device: str
    runtime_version: str
    options: RunOptions
    batch: int
    synthetic: bool
    layers: tuple[LayerProfile, ...]
    clean_ns: int | None = None
    beside_ns: int | None = None
    samples: int = 0
    runs: int = 0
    placement: dict[str, int] = {}
    warnings: tuple[str, ...] = ()
    noise: tuple[str, ...] = ()

    @property
    def counted_ns(self) -> int:
        """Sum of the layers' times, in nanoseconds."""
        return sum(layer.nanoseconds for layer in self.layers)

    @property
    def unexplained_ns(self) -> int | None:
        """Latency without counters less the sum of layers, measured in turns.

        Positive is time between kernels; negative is what counting costs.
        """
        beside = self.beside_ns or self.clean_ns
        return None if beside is None or not self.layers else beside - self.counted_ns

    @property
    def counter_factor(self) -> float:
        """How much counting inflates the layers: 1 where their sum fits into the latency without counters."""
        beside = self.beside_ns or self.clean_ns
        return max(1.0, self.counted_ns / beside) if beside and self.counted_ns else 1.0

    @property
    def drift(self) -> float:
        """Clean latency over that beside the counted runs: what the machine did between the two."""
        return self.clean_ns / self.beside_ns if self.clean_ns and self.beside_ns else 1.0


def layer_kind(node: ExecutedNode, operators: Sequence[str]) -> LayerKind:
    """Say what an executed node is for.

    Parameters
    ----------
    operators
        Operators of the model's nodes that it executes.
    """
    if any(operator in CORES for operator in operators):
        return "compute"
    if node.operator in _REORDERS:
        return "conversion" if node.operator == "Reorder" and _types_differ(node) else "reorder"
    converts = bool(operators) and all(operator in _CONVERSIONS for operator in operators)
    return "conversion" if converts or node.inserted or node.operator in _CONVERSIONS else "other"


def slowest(layers: Iterable[LayerProfile]) -> list[LayerProfile]:
    """Sort layers, the slowest first."""
    return sorted(layers, key=lambda layer: -layer.nanoseconds)


def _types_differ(node: ExecutedNode) -> bool:
    """Say whether OpenVINO's reorder changes the type too: its name has both, as in ``x_i32_abcd_f32_acdb_conv``."""
    parts = [part for part in node.name.split("_") if part in ("f32", "f16", "bf16", "i32", "u8", "i8", "i64")]
    return len(set(parts)) > 1
