"""Operators by what they do, so that a glance tells them apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from studio.core.drawing.picture import Picture
from studio.ui.theme import Tokens

#: kind to (index in the series colours, operators)
KINDS: dict[str, tuple[int, frozenset[str]]] = {
    "compute": (0, frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN", "Attention", "Einsum"})),
    "activation": (
        1,
        frozenset(
            {"Relu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Gelu", "Tanh", "Softmax", "LeakyRelu", "Erf"}
        ),
    ),
    "normalization": (
        2,
        frozenset({"BatchNormalization", "LayerNormalization", "InstanceNormalization", "GroupNormalization"}),
    ),
    "quantization": (3, frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast"})),
    "pooling": (4, frozenset({"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Resize"})),
}
_KIND = {operator: index for index, operators in KINDS.values() for operator in operators}


def kind_of(operator: str) -> int | None:
    """Give the index of an operator's kind among the series colours; None for moving and reshaping."""
    plain = operator.rpartition(".")[2].removeprefix("Fused").removeprefix("QLinear")
    return _KIND.get(plain)


def color_of(operator: str, tokens: Tokens) -> str:
    """Give the colour of an operator's kind; grey for moving and reshaping."""
    index = kind_of(operator)
    return tokens.dim if index is None else tokens.series[index]


def kinds(picture: Picture) -> NDArray[np.float64]:
    """Give the kind of each node as an overlay's class; NaN for moving and reshaping."""
    known: dict[str, float] = {}
    found = np.full(len(picture.of_node), np.nan)
    for index in range(len(found)):
        operator = picture.operators[index]
        if operator not in known:
            kind = kind_of(operator)
            known[operator] = np.nan if kind is None else float(kind)
        found[index] = known[operator]
    return found
