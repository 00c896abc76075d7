"""Which executed kernel a node of a model belongs to, where the engine names only some of the nodes.

Engines fuse: what they call ``conv_relu`` has executed a Conv and a BatchNormalization too. The nodes that
nobody names are given to a kernel by the flow of the graph: a node whose result only one kernel uses was
executed by that kernel, and an epilogue (an activation, an addition, a quantization) by the kernel before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from studio.core.provenance import node_names
from studio.core.validity import captured

if TYPE_CHECKING:
    import onnx

#: operators that do the arithmetic which a kernel is made for
CORES = frozenset(
    [
        "Conv",
        "ConvTranspose",
        "ConvInteger",
        "QLinearConv",
        "FusedConv",
        "Gemm",
        "MatMul",
        "MatMulInteger",
        "QLinearMatMul",
        "MatMulNBits",
        "FusedMatMul",
        "FusedGemm",
        "QGemm",
        "DynamicQuantizeMatMul",
        "MatMulIntegerToFloat",
        "Einsum",
        "Attention",
        "MultiHeadAttention",
        "GroupQueryAttention",
        "GRU",
        "LSTM",
        "RNN",
    ]
)
#: operators that engines append to the kernel before them
EPILOGUES = frozenset(
    [
        "Relu",
        "Clip",
        "Sigmoid",
        "HardSigmoid",
        "HardSwish",
        "Tanh",
        "LeakyRelu",
        "PRelu",
        "Elu",
        "Gelu",
        "Softplus",
        "Add",
        "Sub",
        "Mul",
        "Div",
        "BatchNormalization",
        "QuantizeLinear",
    ]
)


def attribute(graph: onnx.GraphProto, claims: Mapping[str, int]) -> dict[str, int]:
    """Give each node of the main graph the kernel that executes it.

    Parameters
    ----------
    claims
        Name of a node (by `provenance.node_names`) to its kernel, as far as the engine tells. Kernels are
        numbered in the order in which they run.

    Returns
    -------
    dict
        Name of each node to its kernel; nodes that depend on constants alone, which engines compute on
        load, and nodes that nothing leads to, are left out.
    """
    return _Flow(graph).attribute(claims)


def by_kernel(owners: Mapping[str, int], claims: Iterable[tuple[str, int]] = ()) -> dict[int, tuple[str, ...]]:
    """Turn owners around: the nodes of each kernel, in the graph's order.

    Parameters
    ----------
    claims
        Further pairs of node and kernel: a node that several kernels execute parts of belongs to each.
    """
    found: dict[int, dict[str, None]] = {}
    for name, owner in (*claims, *owners.items()):
        found.setdefault(owner, {})[name] = None
    places = {name: place for place, name in enumerate(owners)}
    return {owner: tuple(sorted(names, key=lambda one: places.get(one, -1))) for owner, names in found.items()}


class _Flow:
    """Who makes and who uses what, by node."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.names = node_names(graph)
        self.operators = [node.op_type for node in graph.node]
        makers = {out: index for index, node in enumerate(graph.node) for out in node.output if out}
        self.sources = [
            tuple(dict.fromkeys(makers[name] for name in (*node.input, *captured(node)) if name in makers))
            for node in graph.node
        ]
        self.users: list[list[int]] = [[] for _ in self.names]
        for index, sources in enumerate(self.sources):
            for source in sources:
                self.users[source].append(index)
        given = {value.name for value in graph.input} - {item.name for item in graph.initializer}
        self.constant: list[bool] = []
        for node, sources in zip(graph.node, self.sources, strict=True):
            fed = any(name in given for name in (*node.input, *captured(node)))
            drawn = node.op_type.startswith("Random")
            self.constant.append(not fed and not drawn and all(self.constant[source] for source in sources))

    def attribute(self, claims: Mapping[str, int]) -> dict[str, int]:
        owners: list[int | None] = [
            claims.get(name) if not constant else None for name, constant in zip(self.names, self.constant, strict=True)
        ]
        self._forward(owners)
        self._backward(owners)
        return {name: owner for name, owner in zip(self.names, owners, strict=True) if owner is not None}

    def _forward(self, owners: list[int | None]) -> None:
        """Give nodes to the one kernel that uses them; from the end, so that chains are followed."""
        reach: list[set[int]] = [set() for _ in owners]
        named = [owner is not None for owner in owners]
        #: whether the nearest node that the engine names does arithmetic of its own
        core = [False] * len(owners)
        for index in reversed(range(len(owners))):
            if self.constant[index]:
                continue
            for user in self.users[index]:
                owner = owners[user]
                reach[index] |= {owner} if owner is not None else reach[user]
                core[index] = core[index] or (self.operators[user] in CORES if named[user] else core[user])
            if owners[index] is not None or len(reach[index]) != 1:
                continue
            if self.operators[index] not in EPILOGUES or not core[index]:
                owners[index] = next(iter(reach[index]))
        self._reach = reach

    def _backward(self, owners: list[int | None]) -> None:
        """Give the rest to the last kernel that feeds them, else to the first that they feed."""
        for index, owner in enumerate(owners):
            if owner is not None or self.constant[index]:
                continue
            before = [found for source in self.sources[index] if (found := owners[source]) is not None]
            after = self._reach[index]
            owners[index] = max(before) if before else min(after, default=None)
