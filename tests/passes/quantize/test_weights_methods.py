"""`quantize.weights` with data: what each method is worth on inputs it has not seen, in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.api import Cancelled, DataError, SilentReporter
from tests.passes.calibrated import Samples, apply, error
from tests.passes.graph.harness import graph, node, save

PASS = "quantize.weights"
WIDTH = 64


def correlated(count: int, seed: int, width: int = WIDTH) -> NDArray[np.float32]:
    """Inputs that go together: a few directions hold most of the energy."""
    mixing = np.random.default_rng(7).normal(size=(width, width)) @ np.diag(0.9 ** np.arange(width))
    return np.asarray(np.random.default_rng(seed).normal(size=(count, width)) @ mixing.T, dtype=np.float32)


def outliers(count: int, seed: int) -> NDArray[np.float32]:
    """Inputs of which three channels are fifty times as large."""
    x = np.random.default_rng(seed).normal(size=(count, WIDTH)).astype(np.float32)
    x[:, [3, 20, 41]] *= 50
    return x


def weight(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.asarray(np.random.default_rng(seed).normal(size=shape) / np.sqrt(shape[0]), dtype=np.float32)


def two_layers(folder: Path) -> Path:
    nodes = [
        node("MatMul", "x w1", "a", name="one"),
        node("Relu", "a", "b", name="relu"),
        node("Gemm", "b w2 c2", "y", name="two", transB=1),
    ]
    weights = {"w1": weight(WIDTH, 96), "w2": weight(WIDTH, 96, seed=1), "c2": weight(WIDTH, seed=2)}
    return save(folder / "m.onnx", graph(nodes, [("x", ("batch", WIDTH))], [("y", None)], weights))


def loss(path: Path, data: Samples | None, feeds: dict[str, NDArray[Any]], **params: Any) -> float:
    params = {"min_weights": 1, "compute": "float32", **params}
    return error(path, apply(PASS, path, data, **params)[0], feeds)


@pytest.mark.parametrize("form", ["nbits", "qdq", "stored"])
@pytest.mark.parametrize("bits", [4, 3])
def test_gptq_beats_rounding_on_inputs_that_go_together(form: str, bits: int, tmp_path: Path) -> None:
    path = two_layers(tmp_path)
    data, unseen = Samples(x=correlated(600, 1)), {"x": correlated(400, 2)}
    common: dict[str, Any] = {"form": form, "bits": bits, "block": 32}
    plain = loss(path, None, unseen, method="rtn", **common)
    for act_order in (True, False):
        assert loss(path, data, unseen, method="gptq", act_order=act_order, **common) < 0.6 * plain


def test_gptq_reads_each_activation_once_and_takes_the_samples_it_may(tmp_path: Path) -> None:
    nodes = [node("MatMul", f"x w{at}", f"y{at}", name=f"layer{at}") for at in range(3)]
    weights = {f"w{at}": weight(WIDTH, 20, seed=at) for at in range(3)}
    main = graph(nodes, [("x", ("batch", WIDTH))], [(f"y{at}", None) for at in range(3)], weights)
    path = save(tmp_path / "m.onnx", main)
    data = Counted(x=correlated(200, 1))
    result, _ = apply(PASS, path, data, method="gptq", samples=40, min_weights=1)
    assert data.read == 40
    assert any("3 layers (first: layer0) had fewer rows" in warning for warning in result.warnings)


class Counted(Samples):
    """Counts the samples it gives."""

    read = 0

    def batches(self, size: int, limit: int | None = None) -> Any:
        for batch in super().batches(size, limit):
            self.read += batch.samples
            yield batch


@pytest.mark.parametrize("bits", [4, 3, 2])
def test_hqq_beats_extremes_on_heavy_tails(bits: int, tmp_path: Path) -> None:
    heavy = (np.random.default_rng(0).standard_t(3, size=(128, 200)) / 12).astype(np.float32)
    main = graph([node("MatMul", "x w", "y", name="only")], [("x", ("batch", 128))], [("y", None)], {"w": heavy})
    path = save(tmp_path / "m.onnx", main)
    feeds = {"x": np.random.default_rng(1).normal(size=(200, 128)).astype(np.float32)}
    common: dict[str, Any] = {"bits": bits, "block": 128}
    for symmetric in (True, False):
        plain = loss(path, None, feeds, method="rtn", search=False, symmetric=symmetric, **common)
        assert loss(path, None, feeds, method="hqq", symmetric=symmetric, **common) < 0.97 * plain
        assert loss(path, None, feeds, method="rtn", search=True, symmetric=symmetric, **common) < 0.97 * plain


def absorbing(kind: str, folder: Path) -> Path:
    """Two layers that read an activation, made by something that can take a scale in."""
    weights = {"w1": weight(WIDTH, 40), "w2": weight(WIDTH, 30, seed=1)}
    spread = np.ones(WIDTH, np.float32)
    spread[[3, 20, 41]] = 50
    if kind == "norm":
        made = [node("LayerNormalization", "x g b", "h", name="norm")]
        weights |= {"g": spread, "b": weight(WIDTH, seed=2)}
    elif kind == "mul":
        made = [node("Relu", "x", "r"), node("Mul", "g r", "h", name="norm")]
        weights |= {"g": spread}
    elif kind == "matmul":
        made = [node("MatMul", "x w0", "m", name="norm"), node("Add", "m b", "s", name="bias"), node("Relu", "s", "h")]
        weights |= {"w0": weight(WIDTH, WIDTH, seed=3) * spread, "b": weight(WIDTH, seed=2)}
    else:
        made = [node("Gemm", "x w0 b", "m", name="norm", transB=1, alpha=0.5, beta=3.0), node("Relu", "m", "h")]
        weights |= {"w0": (weight(WIDTH, WIDTH, seed=3) * spread).T.copy(), "b": weight(WIDTH, seed=2)}
    nodes = [*made, node("MatMul", "h w1", "y", name="one"), node("MatMul", "h w2", "z", name="two")]
    return save(folder / "m.onnx", graph(nodes, [("x", ("batch", WIDTH))], [("y", None), ("z", None)], weights))


@pytest.mark.parametrize("form", ["nbits", "qdq", "stored"])
@pytest.mark.parametrize("kind", ["norm", "mul", "matmul", "gemm"])
def test_awq_beats_rounding_where_some_channels_are_large(kind: str, form: str, tmp_path: Path) -> None:
    path = absorbing(kind, tmp_path)
    random = np.random.default_rng(1)
    seen, unseen = (random.normal(size=(300, WIDTH)).astype(np.float32) for _ in range(2))
    common: dict[str, Any] = {"bits": 4, "block": 32, "search": False, "form": form}
    plain = loss(path, None, {"x": unseen}, method="rtn", **common)
    scaled = loss(path, Samples(x=seen), {"x": unseen}, method="awq", **common)
    assert scaled < 0.7 * plain if kind in ("norm", "mul") else scaled < 0.95 * plain


def test_awq_changes_nothing_but_the_rounding(tmp_path: Path) -> None:
    for kind in ("norm", "mul", "matmul", "gemm"):
        folder = tmp_path / kind
        folder.mkdir()
        path = absorbing(kind, folder)
        seen = np.random.default_rng(1).normal(size=(300, WIDTH)).astype(np.float32)
        result, proto = apply(PASS, path, Samples(x=seen), method="awq", bits=8, form="stored", min_weights=1)
        assert error(path, result, {"x": seen}) < 3e-4
        scaled = [item.name for item in proto.graph.initializer if item.name.endswith("_scaled")]
        assert bool(scaled) == (kind != "gemm") or scaled == ["b_scaled"]


def test_awq_leaves_activations_alone_that_something_else_reads(tmp_path: Path) -> None:
    nodes = [
        node("LayerNormalization", "x g b", "h", name="norm"),
        node("MatMul", "h w1", "m", name="one"),
        node("Add", "m h", "y", name="residual"),
    ]
    weights = {"g": np.ones(WIDTH, np.float32), "b": weight(WIDTH), "w1": weight(WIDTH, WIDTH)}
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", ("batch", WIDTH))], [("y", None)], weights))
    data = Samples(x=outliers(200, 1))
    result, proto = apply(PASS, path, data, method="awq", min_weights=1)
    assert any("Rounded without a scale" in warning and "one" in warning for warning in result.warnings)
    assert not [item.name for item in proto.graph.initializer if item.name.endswith("_scaled")]


def test_a_search_weighs_by_the_inputs_where_data_is_there(tmp_path: Path) -> None:
    """AWQ's data counts even where nothing can absorb a scale."""
    main = graph(
        [node("MatMul", "x w", "y", name="only")], [("x", ("batch", WIDTH))], [("y", None)], {"w": weight(WIDTH, 50)}
    )
    path = save(tmp_path / "m.onnx", main)
    unseen = {"x": outliers(200, 5)}
    plain = loss(path, None, unseen, method="rtn", bits=3)
    assert loss(path, Samples(x=outliers(200, 1)), unseen, method="awq", bits=3) < 0.8 * plain


def test_data_that_is_missing_or_not_finite(tmp_path: Path) -> None:
    path = two_layers(tmp_path)
    with pytest.raises(DataError, match="needs calibration data"):
        apply(PASS, path, None, method="gptq")
    bad = correlated(20, 1)
    bad[3, 3] = np.nan
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        with pytest.raises(DataError, match="NaN or infinity"):
            apply(PASS, two_layers(folder), Samples(x=bad), method="gptq" if name == "a" else "awq")


def test_generated_data_is_told(tmp_path: Path) -> None:
    data = Samples(synthetic=True, x=correlated(100, 1))
    for method in ("gptq", "awq"):
        folder = tmp_path / method
        folder.mkdir()
        result, _ = apply(PASS, two_layers(folder), data, method=method, min_weights=1)
        assert any("rounded by generated inputs" in warning for warning in result.warnings)


class Impatient(SilentReporter):
    """Asks to stop after some questions."""

    def __init__(self, patience: int) -> None:
        self.patience = patience

    def check(self) -> None:
        self.patience -= 1
        if self.patience < 0:
            raise Cancelled


def test_cancelling_leaves_nothing_behind(tmp_path: Path) -> None:
    for patience in (0, 2, 5):
        folder = tmp_path / str(patience)
        folder.mkdir()
        with pytest.raises(Cancelled):
            data = Samples(x=correlated(600, 1))
            apply(PASS, two_layers(folder), data, method="gptq", reporter=Impatient(patience))
        assert not list((folder / "work0").iterdir())
