"""Operators by what they do, so that a glance tells them apart."""

from __future__ import annotations

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


def color_of(operator: str, tokens: Tokens) -> str:
    """Give the colour of an operator's kind; grey for moving and reshaping."""
    plain = operator.rpartition(".")[2].removeprefix("Fused").removeprefix("QLinear")
    index = _KIND.get(plain)
    return tokens.dim if index is None else tokens.series[index]
