"""Networks, data and measurements for the tests of the quantization passes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import openvino as ov
from numpy.typing import NDArray
from onnx import TensorProto, helper

from studio.api import (
    Artifact,
    Batch,
    Dataset,
    Device,
    Pass,
    PassContext,
    PassResult,
    Survey,
    open_artifact,
    read_model,
)
from studio.core.registry import Registry, scan
from tests import models

PLUGINS = Path(__file__).parents[3] / "plugins"
AVX2 = Device(runtime="onnxruntime", id="CPU", name="test", kind="cpu", instruction_sets=("SSE4.2", "AVX", "AVX2"))
VNNI = Device(runtime="onnxruntime", id="CPU", name="test", kind="cpu", instruction_sets=("AVX2", "AVX512-VNNI"))

Arrays = dict[str, NDArray[Any]]


class Samples(Dataset):
    """Arrays in memory as a dataset.

    `read` counts the samples given out, however often; `furthest` those that were seen at all.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], *, synthetic: bool = False) -> None:
        self.name = "samples"
        self.arrays = dict(arrays)
        self.samples = len(next(iter(self.arrays.values())))
        self.synthetic = synthetic
        self.read = 0
        self.furthest = 0

    def batches(self, size: int, limit: int | None = None) -> Iterator[Batch]:
        end = min(self.samples, limit or self.samples)
        for first in range(0, end, size):
            last = min(end, first + size)
            self.read += last - first
            self.furthest = max(self.furthest, last)
            yield Batch(first, {name: array[first:last] for name, array in self.arrays.items()})

    def digest(self) -> str:
        return hashlib.sha256(b"".join(array.tobytes() for array in self.arrays.values())).hexdigest()


def registry() -> Registry:
    return scan(PLUGINS)


def get(name: str) -> Pass:
    return registry().get_pass(name)


def apply(
    name: str, proto: onnx.ModelProto, folder: Path, *, data: Dataset | None = None, params: Any = None, **context: Any
) -> tuple[Artifact, PassResult]:
    """Write a model and apply a pass to it; gives the source too."""
    the_pass = get(name)
    source = open_artifact(models.save(proto, folder / "source" / "source.onnx"))
    workdir = folder / "work"
    workdir.mkdir()
    context.setdefault("device", AVX2)
    values = the_pass.Params(**(params or {}))
    return source, the_pass.apply(source, values, PassContext(workdir=workdir, calibration=data, **context))


def survey(name: str, source: Artifact, *, device: Device | None = AVX2, scope: Any = None, **params: Any) -> Survey:
    import onnx_ir.passes.common as common

    from studio.api import Scope

    the_pass = get(name)
    model = common.ShapeInferencePass()(read_model(source)).model
    return the_pass.survey(model, the_pass.Params(**params), device, scope or Scope())


def run_onnxruntime(path: Path, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return [np.asarray(item) for item in session.run(None, dict(feeds))]


def run_openvino(path: Path, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    compiled = ov.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    result = compiled(dict(feeds))
    return [np.asarray(result[output]) for output in compiled.outputs]


def sqnr(reference: NDArray[Any], other: NDArray[Any]) -> float:
    """Signal to quantization noise ratio in dB."""
    noise = np.sum((reference.astype(np.float64) - other) ** 2)
    return float(10 * np.log10(np.sum(reference.astype(np.float64) ** 2) / max(noise, 1e-30)))


def compare(source: Artifact, result: PassResult, feeds: Arrays) -> tuple[float, float]:
    """SQNR of the first output in ONNX Runtime and in OpenVINO, each against the source in ONNX Runtime."""
    reference = run_onnxruntime(source.path, feeds)[0]
    path = result.artifact.path
    return sqnr(reference, run_onnxruntime(path, feeds)[0]), sqnr(reference, run_openvino(path, feeds)[0])


def operators(artifact: Artifact) -> list[str]:
    return [node.op_type for node in onnx.load(str(artifact.path)).graph.node]


def residual_cnn(seed: int = 0, width: int = 32) -> onnx.ModelProto:
    """A residual block with a depthwise convolution: `image` float32 [batch, 3, 16, 16] -> `logits` [batch, 10]."""
    random = np.random.default_rng(seed)
    pads = [1, 1, 1, 1]
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["c1"], "conv1", pads=pads),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], "conv2", pads=pads),
        helper.make_node("Clip", ["c2", "zero", "six"], ["r2"], "clip"),
        helper.make_node("Conv", ["r2", "w3"], ["c3"], "depthwise", pads=pads, group=width),
        helper.make_node("Add", ["c3", "r1"], ["sum"], "add"),
        helper.make_node("MaxPool", ["sum"], ["m"], "maxpool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["m"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flatten"),
        helper.make_node("Gemm", ["f", "w4", "b4"], ["logits"], "fc", transB=1),
    ]
    weights = {
        "w1": random.normal(0, 0.15, (width, 3, 3, 3)),
        "b1": random.normal(0, 0.1, width),
        "w2": random.normal(0, 0.08, (width, width, 3, 3)),
        "w3": random.normal(0, 0.3, (width, 1, 3, 3)),
        "w4": random.normal(0, 0.1, (10, width)),
        "b4": random.normal(0, 0.1, 10),
        "zero": np.float32(0),
        "six": np.float32(6),
    }
    return _model(nodes, {"image": ["batch", 3, 16, 16]}, {"logits": ["batch", 10]}, weights)


def images(count: int = 32, seed: int = 1) -> Arrays:
    return {"image": np.random.default_rng(seed).normal(0, 1, (count, 3, 16, 16)).astype(np.float32)}


def transformer(seed: int = 0, layers: int = 2, width: int = 32, length: int = 6) -> onnx.ModelProto:
    """A small encoder: `tokens` int64 [batch, length], `mask` float32 [batch, length] -> `state`, int64 `best`."""
    random = np.random.default_rng(seed)
    weights: dict[str, Any] = {"table": random.normal(0, 1, (50, width)), "scale": np.float32(width**-0.5)}
    nodes = [helper.make_node("Gather", ["table", "tokens"], ["x0"], "embed")]
    nodes.append(helper.make_node("Unsqueeze", ["mask", "axis"], ["bias"], "unsqueeze"))
    for i in range(layers):
        for part, shape in (("q", width), ("k", width), ("v", width), ("o", width), ("up", 4 * width)):
            weights[f"{part}{i}"] = random.normal(0, width**-0.5, (width, shape))
        weights[f"down{i}"] = random.normal(0, (4 * width) ** -0.5, (4 * width, width))
        weights[f"g{i}"], weights[f"b{i}"] = np.ones(width), np.zeros(width)
        nodes += _layer(i)
    nodes.append(helper.make_node("Identity", [f"x{layers}"], ["state"], "out"))
    nodes.append(helper.make_node("ArgMax", [f"x{layers}"], ["best"], "argmax", axis=-1, keepdims=0))
    proto = _model(nodes, {"mask": ["batch", length]}, {"state": ["batch", length, width]}, weights)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1], np.int64), "axis"))
    proto.graph.input.append(helper.make_tensor_value_info("tokens", TensorProto.INT64, ["batch", length]))
    proto.graph.output.append(helper.make_tensor_value_info("best", TensorProto.INT64, ["batch", length]))
    return proto


def sentences(count: int = 32, length: int = 6, seed: int = 1) -> Arrays:
    random = np.random.default_rng(seed)
    mask = np.zeros((count, length), np.float32)
    mask[::3, -1] = -1e4
    return {"mask": mask, "tokens": random.integers(0, 50, (count, length))}


def lstm(seed: int = 0) -> onnx.ModelProto:
    """`x` float32 [5, batch, 8] -> LSTM -> MatMul -> `y` float32 [5, 1, batch, 4]."""
    random = np.random.default_rng(seed)
    nodes = [
        helper.make_node("LSTM", ["x", "w", "r", "b"], ["h"], "lstm", hidden_size=16),
        helper.make_node("MatMul", ["h", "out"], ["y"], "matmul"),
    ]
    weights = {
        "w": random.normal(0, 0.3, (1, 64, 8)),
        "r": random.normal(0, 0.3, (1, 64, 16)),
        "b": random.normal(0, 0.1, (1, 128)),
        "out": random.normal(0, 0.3, (16, 4)),
    }
    return _model(nodes, {"x": [5, "batch", 8]}, {"y": [5, 1, "batch", 4]}, weights)


def _layer(i: int) -> list[onnx.NodeProto]:
    def node(operator: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
        return helper.make_node(operator, inputs, [output], f"{output}_node", **attributes)

    return [
        *(node("MatMul", [f"x{i}", f"{part}{i}"], f"{part}_{i}") for part in "qkv"),
        node("Transpose", [f"k_{i}"], f"kt_{i}", perm=[0, 2, 1]),
        node("MatMul", [f"q_{i}", f"kt_{i}"], f"scores_{i}"),
        node("Mul", [f"scores_{i}", "scale"], f"scaled_{i}"),
        node("Add", [f"scaled_{i}", "bias"], f"masked_{i}"),
        node("Softmax", [f"masked_{i}"], f"attention_{i}", axis=-1),
        node("MatMul", [f"attention_{i}", f"v_{i}"], f"context_{i}"),
        node("MatMul", [f"context_{i}", f"o{i}"], f"mixed_{i}"),
        node("Add", [f"mixed_{i}", f"x{i}"], f"residual_{i}"),
        node("LayerNormalization", [f"residual_{i}", f"g{i}", f"b{i}"], f"normal_{i}", axis=-1),
        node("MatMul", [f"normal_{i}", f"up{i}"], f"up_{i}"),
        node("Relu", [f"up_{i}"], f"active_{i}"),
        node("MatMul", [f"active_{i}", f"down{i}"], f"down_{i}"),
        node("Add", [f"down_{i}", f"normal_{i}"], f"x{i + 1}"),
    ]


Shapes = dict[str, list[int | str]]


def _model(nodes: list[onnx.NodeProto], inputs: Shapes, outputs: Shapes, weights: Mapping[str, Any]) -> onnx.ModelProto:
    arrays = {name: np.asarray(array, dtype=np.float32) for name, array in weights.items()}
    return models.model(nodes, inputs, outputs, arrays)
