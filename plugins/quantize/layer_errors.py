"""What 8 bits cost at each layer, and the part of it that a bias can take back.

Source: M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
arXiv:1906.04721, the empirical correction: with calibration data, layer by layer in topological order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.api import Reporter

from .stages import Stages, reads

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

#: bytes of activations that may be held, and how many times the largest one they may come to
BUDGET, TIMES = 384 << 20, 5
#: most samples to look at
SAMPLES = 64
#: layers below this ratio are named in a warning
POOR_DB = 10.0
#: layers whose bias is corrected; not MatMul: its rows are tokens, and those that fill up a sentence would decide
#: for the others (measured on a sentence encoder: cosine 0.944 with the correction, 0.995 without)
CORRECTED = frozenset({"Conv", "ConvTranspose", "Gemm"})
#: axis of the channels in what these operators give
_AXES = {"Conv": 1, "ConvTranspose": 1, "Gemm": -1, "MatMul": -1}


@dataclass(frozen=True)
class Layer:
    """A quantized layer: its name, operator, and what it gives in the float and in the quantized model."""

    name: str
    operator: str
    source: str
    result: str


@dataclass
class LayerErrors:
    """What was found.

    Attributes
    ----------
    sqnr
        Signal to quantization noise ratio in dB at each layer, by name: what came before it included.
    corrected
        How many biases were corrected.
    """

    sqnr: dict[str, float] = field(default_factory=dict)
    corrected: int = 0

    def said(self, name: str) -> str:
        """Say what a layer's error is, to be added to a sentence; empty when it was not measured."""
        return f", {self.sqnr[name]:.1f} dB" if name in self.sqnr else ""

    def notes(self) -> dict[str, str | int | float | bool]:
        """Give the figures for a result."""
        if not self.sqnr:
            return {}
        worst = ", ".join(f"{name} {level:.1f} dB" for name, level in self.worst())
        return {"biases_corrected": self.corrected, "lowest_layer_sqnr": worst}

    def worst(self, most: int = 3) -> list[tuple[str, float]]:
        """Give the layers with the lowest ratio, the lowest first."""
        return sorted(self.sqnr.items(), key=lambda item: item[1])[:most]

    def warnings(self) -> tuple[str, ...]:
        """Name the layers where more is lost than most models bear."""
        poor = [(name, level) for name, level in self.worst(len(self.sqnr)) if level < POOR_DB]
        if not poor:
            return ()
        named = ", ".join(f"{name} ({level:.1f} dB)" for name, level in poor[:3])
        first = next(name for name, level in self.sqnr.items() if level < POOR_DB)
        more = f" and {len(poor) - 3} more" if len(poor) > 3 else ""
        return (
            f"{len(poor)} layers differ much from float: {named}{more}; the first on the way is {first}. "
            "Leave it out of the scope, or try another method.",
        )


def find_layers(source: onnx.GraphProto, result: onnx.GraphProto, names: Sequence[str]) -> list[Layer]:
    """List the layers of these names that both graphs have, in the result's order."""
    before = {node.name: node for node in source.node}
    wanted = set(names)
    return [
        Layer(node.name, node.op_type, before[node.name].output[0], node.output[0])
        for node in result.node
        if node.name in wanted and node.op_type in _AXES and node.name in before
    ]


def sample_limit(sizes: Mapping[str, int]) -> int:
    """Give how many samples may be held, from the bytes of the tensors of one."""
    return max(1, min(SAMPLES, BUDGET // max(1, TIMES * max(sizes.values(), default=1))))


def measure_layers(
    source: Path,
    result: onnx.ModelProto,
    folder: Path,
    names: Sequence[str],
    batches: Sequence[Mapping[str, NDArray[Any]]],
    reporter: Reporter,
    *,
    correct: bool,
) -> LayerErrors:
    """Run float and quantized model side by side, layer by layer, and correct biases on the way.

    A correction that could be chance, by how much the samples differ, is shrunk towards none.

    Parameters
    ----------
    source
        The float model that was quantized.
    result
        The quantized model, weights within; its biases are changed in place.
    folder
        For working files; that of `source` serves.
    names
        The quantized nodes.
    batches
        Samples, as feeds.
    correct
        Whether to correct biases, or only to measure.
    """
    import onnx

    light = onnx.load(str(source), load_external_data=False)
    layers = find_layers(light.graph, result.graph, names)
    found = LayerErrors()
    if not layers or not batches:
        return found
    biases = _Biases(result.graph)
    path = _stored(result, folder)
    float_run = Stages(source, [layer.source for layer in layers], batches)
    int_run = Stages(path, [layer.result for layer in layers], batches)
    changed: dict[str, onnx.TensorProto] = {}
    for number, layer in enumerate(layers):
        reporter.check()
        exact, given = float_run.run(), int_run.run(changed)
        changed = {}
        found.sqnr[layer.name] = _sqnr(exact, given)
        reporter.progress(number + 1, len(layers), "comparing layers")
        correctable = correct and layer.operator in CORRECTED
        shift = _shift(exact, given, _AXES[layer.operator]) if correctable else None
        tensor = biases.add(layer, shift) if shift is not None else None
        if tensor is not None and shift is not None:
            found.corrected += 1
            changed[tensor.name] = tensor
            int_run.replace(layer.result, [array + _shaped(shift, array, _AXES[layer.operator]) for array in given])
    return found


class _Biases:
    """Finds the constants that stand for the bias of a layer in a quantized graph."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._weights = {item.name: item for item in graph.initializer}
        self._makers = {out: node for node in graph.node for out in node.output}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in reads(node):
                self._readers.setdefault(name, []).append(node)
        self._outputs = {value.name for value in graph.output}

    def add(self, layer: Layer, shift: NDArray[Any]) -> onnx.TensorProto | None:
        """Add to a layer's bias; gives the changed constant, None where it has none of its own."""
        node = self._makers[layer.result]
        name = node.input[2] if len(node.input) > 2 else ""
        if name in self._weights:
            return self._changed(name, shift, None)
        scaled = self._makers.get(name)
        if scaled is None or scaled.op_type != "DequantizeLinear" or scaled.input[1] not in self._weights:
            return None
        return self._changed(scaled.input[0], shift, self._weights[scaled.input[1]])

    def _changed(self, name: str, shift: NDArray[Any], scale: onnx.TensorProto | None) -> onnx.TensorProto | None:
        import numpy as np
        import onnx

        item = self._weights.get(name)
        if item is None or len(self._readers[name]) != 1 or name in self._outputs:
            return None
        array = onnx.numpy_helper.to_array(item)
        if array.shape != shift.shape:
            return None
        if scale is None:
            if array.dtype != np.float32:
                return None
            array = array + shift
        else:
            steps = np.rint(shift / np.maximum(onnx.numpy_helper.to_array(scale), 1e-30).astype(np.float64))
            limits = np.iinfo(np.int32)
            array = np.clip(array.astype(np.int64) + steps.astype(np.int64), limits.min, limits.max).astype(np.int32)
        item.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return item


def _stored(result: onnx.ModelProto, folder: Path) -> Path:
    """Write the quantized model with its weights beside it, so that pieces of it are small."""
    import onnx_ir as ir

    path = folder / "quantized.onnx"
    model = ir.from_proto(result)
    ir.save(model, path, external_data="quantized.data", size_threshold_bytes=1024)
    return path


def _shift(exact: Sequence[NDArray[Any]], given: Sequence[NDArray[Any]], axis: int) -> NDArray[Any]:
    """Give the mean error of each channel ``(channels,)``, shrunk by how uncertain it is.

    Of a mean ``m`` with standard error ``e`` over the samples, ``m (1 - e^2 / m^2)`` is kept, or nothing.
    """
    import numpy as np

    means = []
    for left, right in zip(exact, given, strict=True):
        error = np.moveaxis(left.astype(np.float64) - right, axis, -1)
        means.append(error.reshape(len(error), -1, error.shape[-1]).mean(axis=1))
    of_samples = np.concatenate(means)
    mean = of_samples.mean(axis=0)
    variance = of_samples.var(axis=0, ddof=1) / len(of_samples) if len(of_samples) > 1 else np.square(mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.where(mean != 0, np.maximum(0.0, 1.0 - variance / np.square(mean)), 0.0)
    found: NDArray[Any] = (mean * kept).astype(np.float32)
    return found


def _shaped(shift: NDArray[Any], array: NDArray[Any], axis: int) -> NDArray[Any]:
    shape = [1] * array.ndim
    shape[axis] = len(shift)
    return shift.reshape(shape)


def _sqnr(exact: Sequence[NDArray[Any]], given: Sequence[NDArray[Any]]) -> float:
    import numpy as np

    signal = sum(float(np.square(array, dtype=np.float64).sum()) for array in exact)
    noise = sum(float(np.square(a.astype(np.float64) - b).sum()) for a, b in zip(exact, given, strict=True))
    return float("inf") if noise <= 0 else float(10 * np.log10(max(signal, 1e-30) / noise))
