"""Layers as matrices over rows: unfolding agrees with what ONNX Runtime computes; moments with numpy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import helper

from studio.core import moments as moments_module
from studio.core.artifact import open_artifact
from studio.core.dataset import Batch, Dataset
from studio.core.engine import Engine
from studio.core.errors import DataError
from studio.core.linear import Linear
from studio.core.modelfile import read_model
from studio.core.moments import Site, gather_moments, moment_bytes, observe
from studio.core.scope import Scope
from studio.core.weights import find_weights
from tests import models
from tests.core.test_engine import places


class Rows(Dataset):
    """An array as a dataset."""

    name = "rows"
    input = "x"

    def __init__(self, array: NDArray[Any]) -> None:
        self.array, self.samples = array, len(array)

    def batches(self, size: int, limit: int | None = None) -> Iterator[Batch]:
        end = min(self.samples, limit or self.samples)
        for start in range(0, end, size):
            yield Batch(start, {self.input: self.array[start : min(end, start + size)]})

    def digest(self) -> str:
        return "rows"


def layer(
    folder: Path, operator: str, weight: tuple[int, ...], shape: list[int], *, left: bool = False, **how: Any
) -> Path:
    random = np.random.default_rng(0)
    inputs = ["w", "x"] if left else ["x", "w"]
    node = helper.make_node(operator, inputs, ["y"], "layer", **how)
    array = random.standard_normal(weight).astype(np.float32)
    proto = models.model([node], {"x": shape}, {"y": []}, {"w": array})
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    proto = onnx.shape_inference.infer_shapes(proto)
    return models.save(proto, folder / "layer.onnx")


CASES: list[tuple[str, tuple[int, ...], list[int], dict[str, Any]]] = [
    ("MatMul", (5, 7), [3, 4, 5], {}),
    ("MatMul", (7, 5), [3, 5, 2], {"left": True}),
    ("MatMul", (7, 5), [5], {"left": True}),
    ("MatMul", (5, 7), [5], {}),
    ("Gemm", (5, 7), [3, 5], {}),
    ("Gemm", (7, 5), [3, 5], {"transB": 1}),
    ("Gemm", (5, 7), [5, 3], {"transA": 1}),
    ("Gemm", (7, 5), [5, 3], {"transA": 1, "transB": 1}),
    ("Gemm", (7, 5), [5, 3], {"left": True}),
    ("Gemm", (5, 7), [3, 5], {"left": True, "transA": 1, "transB": 1}),
    ("Conv", (6, 4, 3, 3), [2, 4, 9, 8], {"pads": [1, 0, 1, 2], "strides": [2, 1]}),
    ("Conv", (6, 2, 3, 2), [2, 4, 9, 8], {"group": 2, "dilations": [2, 1]}),
    ("Conv", (6, 4, 3, 4), [2, 4, 9, 8], {"auto_pad": "SAME_LOWER", "strides": [2, 3]}),
    ("Conv", (6, 4, 3, 4), [2, 4, 9, 8], {"auto_pad": "SAME_UPPER", "strides": [2, 3]}),
    ("Conv", (6, 4, 3), [2, 4, 9], {"auto_pad": "VALID"}),
    ("Conv", (3, 2, 2, 2, 2), [2, 2, 4, 4, 4], {"pads": [1] * 6}),
]


@pytest.mark.parametrize(("operator", "weight", "shape", "how"), CASES)
def test_rows_times_the_matrix_are_the_outputs(
    tmp_path: Path, operator: str, weight: tuple[int, ...], shape: list[int], how: dict[str, Any]
) -> None:
    path = layer(tmp_path, operator, weight, shape, **how)
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    y = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    (found,), _ = find_weights(read_model(open_artifact(path)), Scope())
    linear = Linear.of(found)
    assert linear is not None
    array = found.tensor.numpy()
    matrix = linear.matrix(array)
    np.testing.assert_array_equal(linear.stored(matrix).astype(np.float32), array)
    rows = 0
    for a, b in linear.rows(x, y, 10**6, np.random.default_rng(0)):
        assert b is not None
        np.testing.assert_allclose(np.einsum("gni,goi->gno", a, matrix), b, atol=1e-4)
        rows += a.shape[1]
    assert rows == linear.positions(x.shape, y.shape)


def test_a_transposed_convolution_has_a_row_for_each_input_position(tmp_path: Path) -> None:
    path = layer(tmp_path, "ConvTranspose", (4, 3, 2, 2), [2, 4, 3, 3], group=2, strides=[2, 2])
    x = np.random.default_rng(1).standard_normal((2, 4, 3, 3)).astype(np.float32)
    y = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    (found,), _ = find_weights(read_model(open_artifact(path)), Scope())
    linear = Linear.of(found)
    assert linear is not None
    ((rows, none),) = linear.rows(x, None, 10**6, np.random.default_rng(0))
    assert none is None
    made = np.einsum("gni,goi->ngo", rows, linear.matrix(found.tensor.numpy())).reshape(2, 9, 6, 2, 2)
    # strides equal the kernel: nothing overlaps
    whole = made.reshape(2, 3, 3, 6, 2, 2).transpose(0, 3, 1, 4, 2, 5).reshape(2, 6, 6, 6)
    np.testing.assert_allclose(whole, y, atol=1e-4)


def test_a_stack_of_matrices_is_not_one(tmp_path: Path) -> None:
    (found,), _ = find_weights(read_model(open_artifact(layer(tmp_path, "MatMul", (2, 5, 7), [2, 3, 5]))), Scope())
    assert Linear.of(found) is None


@pytest.mark.parametrize("diagonal", [False, True])
def test_moments_are_those_of_all_rows(tmp_path: Path, diagonal: bool) -> None:
    path = layer(tmp_path, "MatMul", (5, 7), ["batch", 4, 5])  # type: ignore[list-item]
    x = np.random.default_rng(1).standard_normal((11, 4, 5)).astype(np.float32)
    artifact = open_artifact(path)
    (found,), _ = find_weights(read_model(artifact), Scope())
    linear = Linear.of(found)
    assert linear is not None
    site = Site("layer", linear, "x", "y", diagonal)
    (moments,) = gather_moments(Engine(places("onnxruntime"), tmp_path), artifact, [site], Rows(x), limit=10)
    rows = x[:10].reshape(-1, 5).astype(np.float64)
    outputs = rows @ found.tensor.numpy()
    full = rows.T @ rows
    np.testing.assert_allclose(moments.xx[0], np.diag(full) if diagonal else full, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(moments.xy[0], rows.T @ outputs, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(moments.y[0], outputs.sum(0), rtol=1e-4, atol=1e-4)
    assert moments.yy == pytest.approx(np.square(outputs).sum(), rel=1e-5)
    assert (moments.rows, moments.positions) == (40, 4)
    assert moment_bytes(site) == moments.xx.nbytes + moments.xy.nbytes


def test_nan_and_no_samples_are_refused(tmp_path: Path) -> None:
    path = layer(tmp_path, "MatMul", (5, 7), ["batch", 5])  # type: ignore[list-item]
    artifact, engine = open_artifact(path), Engine(places("onnxruntime"), tmp_path)
    (found,), _ = find_weights(read_model(artifact), Scope())
    linear = Linear.of(found)
    assert linear is not None
    x = np.ones((3, 5), np.float32)
    x[2, 1] = np.nan
    with pytest.raises(DataError, match=r"NaN or infinity at 'layer'"):
        list(gather_moments(engine, artifact, [Site("layer", linear, "x")], Rows(x)))
    with pytest.raises(DataError, match="no sample"):
        list(gather_moments(engine, artifact, [Site("layer", linear, "x")], Rows(x[:0])))


def test_layers_beyond_the_budget_are_observed_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proto = models.mlp(8, 16, 4)
    artifact = open_artifact(models.save(proto, tmp_path / "mlp.onnx"))
    weights, _ = find_weights(read_model(artifact), Scope())
    sites, refused = observe(weights, outputs=True)
    assert not refused
    x = np.random.default_rng(1).standard_normal((9, 8)).astype(np.float32)
    data = Rows(x)
    data.input = "image"
    engine = Engine(places("onnxruntime"), tmp_path)
    whole = list(gather_moments(engine, artifact, sites, data))
    monkeypatch.setattr(moments_module, "MOMENTS", 8)
    runs: list[list[str]] = []
    original = Engine.activations

    def counted(self: Engine, artifact: Any, tensors: list[str], *args: Any, **how: Any) -> Any:
        runs.append(tensors)
        return original(self, artifact, tensors, *args, **how)

    monkeypatch.setattr(Engine, "activations", counted)
    parts = list(gather_moments(engine, artifact, sites, data))
    assert runs == [["image", "h"], ["r", "logits"]]
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one.xx, other.xx)
        np.testing.assert_allclose(one.xy, other.xy)


def test_inputs_of_one_model_with_outputs_of_another(tmp_path: Path) -> None:
    first = open_artifact(layer(tmp_path / "a", "MatMul", (5, 7), ["batch", 5]))  # type: ignore[list-item]
    second = onnx.load(str(first.path))
    doubled = onnx.numpy_helper.to_array(second.graph.initializer[0]) * 2
    second.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(doubled, "w"))
    other = open_artifact(models.save(second, tmp_path / "b" / "layer.onnx"))
    (weight,), _ = find_weights(read_model(first), Scope())
    sites, _ = observe([weight], outputs=True)
    x = np.random.default_rng(1).standard_normal((20, 5)).astype(np.float32)
    (moments,) = gather_moments(Engine(places("onnxruntime"), tmp_path), first, sites, Rows(x), reference=other)
    np.testing.assert_allclose(moments.xy[0], x.T @ (x @ doubled), rtol=1e-4, atol=1e-4)
