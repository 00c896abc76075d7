"""Sharing weights: the best few values, in files that both engines load."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino as ov
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from numpy.typing import NDArray

from studio.api import DataError, Need, Step, open_artifact
from studio.core.params import parse_params
from tests.passes.calibrated import Samples, apply, error
from tests.passes.graph.harness import REGISTRY, graph, node, run, save, survey, weight

PASS = "factorize.cluster"
PACKAGE = type(REGISTRY.get_pass(PASS)).__module__.rpartition(".")[0]
cluster: Any = importlib.import_module(f"{PACKAGE}.kmeans").cluster


def network(path: Path, *, odd: bool = False) -> Path:
    """Every kind of layer; with `odd`, numbers of weights that fill no whole byte."""
    width = 15 if odd else 16
    nodes = [
        node("Conv", "x a", "h", name="conv", pads=[1, 1, 1, 1]),
        node("Conv", "h b", "i", name="grouped", group=2),
        node("ConvTranspose", "i c", "j", name="up", strides=[2, 2]),
        node("GlobalAveragePool", "j", "p"),
        node("Flatten", "p", "f"),
        node("Gemm", "f d", "g", name="fc", transB=1),
        node("MatMul", "g e", "y", name="product"),
    ]
    arrays = {
        "a": weight(width if not odd else 14, 8, 3, 3),
        "b": weight(20, 8 if not odd else 7, 3, 3, seed=1),
        "c": weight(20, width, 3, 3, seed=2),
        "d": weight(35, width, seed=3),
        "e": weight(35, 41, seed=4),
    }
    return save(path / "m.onnx", graph(nodes, [("x", ("batch", 8, 9, 9))], [("y", None)], arrays))


def shared_weights(path: Path, x: NDArray[Any] | None = None) -> dict[str, NDArray[Any]]:
    """What the weights of each layer are when the model runs."""
    proto = onnx.load(str(path))
    layers = {
        one.name: one.input[1] for one in proto.graph.node if one.name in ("conv", "grouped", "up", "fc", "product")
    }
    del proto.graph.output[:]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in layers.values())
    onnx.save(proto, str(path.parent / "weights.onnx"))
    values = run(path.parent / "weights.onnx", {"x": weight(1, 8, 9, 9) if x is None else x})
    (path.parent / "weights.onnx").unlink()
    return dict(zip(layers, values, strict=True))


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("tables", ["tensor", "channel"])
@pytest.mark.parametrize("centroids", [2, 4, 13, 16, 40])
def test_both_engines_load_it_and_each_weight_is_its_nearest_value(
    tmp_path: Path, centroids: int, tables: str, odd: bool
) -> None:
    path = network(tmp_path, odd=odd)
    result, _ = apply(PASS, path, None, centroids=centroids, tables=tables, min_weights=1)
    source = onnx.load(str(path))
    before = {one.name: onnx.numpy_helper.to_array(one) for one in source.graph.initializer}
    layers = {one.name: before[one.input[1]] for one in source.graph.node if one.name}
    after = shared_weights(result.artifact.path)
    changed = {change.node for change in result.changes if change.change == "rewritten"}
    for name, array in after.items():
        if name not in changed:
            continue
        assert array.shape == layers[name].shape
        if tables == "tensor":
            values = np.unique(array)
            assert len(values) <= centroids
            nearest = np.abs(layers[name][..., None] - values).min(-1)
            np.testing.assert_allclose(np.abs(layers[name] - array), nearest, atol=1e-6)
        else:
            axis = 1 if name in ("up", "product") else 0
            assert all(len(np.unique(row)) <= centroids for row in np.moveaxis(array, axis, 0))
    x = weight(2, 8, 9, 9)
    compiled = ov.Core().compile_model(str(result.artifact.path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    right = run(result.artifact.path, {"x": x})[0]
    np.testing.assert_allclose(compiled({"x": x})[0], right, rtol=1e-3, atol=1e-3 * np.abs(right).max())
    if changed:
        assert result.artifact.bytes < open_artifact(path).bytes
        assert int(result.notes["entropy_coded_bytes"]) <= int(result.notes["weight_bytes_after"])


def test_the_bytes_are_as_surveyed(tmp_path: Path) -> None:
    main = graph(
        [node("MatMul", "x w", "y", name="fc")], [("x", ("batch", 200))], [("y", None)], {"w": weight(200, 100)}
    )
    path = save(tmp_path / "m.onnx", main)
    for how in ({"centroids": 256}, {"centroids": 16}, {"centroids": 4}, {"centroids": 2}, {"tables": "channel"}):
        result, _ = apply(PASS, path, None, **how)
        found = survey(PASS, path, **how)
        assert found.size is not None
        kept = sum(len(one.raw_data) for one in onnx.load(str(result.artifact.path)).graph.initializer)
        assert found.size.low <= kept / 80_000 <= found.size.high
        assert found.nodes == ("fc",)


def test_weighed_by_activations_the_output_is_better(tmp_path: Path) -> None:
    # small weights for large inputs, as in trained networks
    loud = np.exp(np.linspace(0, 3, 32)).astype(np.float32)
    array = weight(32, 64) / loud[:, None]
    main = graph([node("MatMul", "x w", "y", name="fc")], [("x", ("batch", 32))], [("y", None)], {"w": array})
    path = save(tmp_path / "m.onnx", main)
    data, unseen = Samples(x=weight(200, 32) * loud), {"x": weight(100, 32, seed=8) * loud}
    errors = [
        error(path, apply(PASS, path, data, centroids=8, criterion=criterion)[0], unseen)
        for criterion in ("weights", "activations")
    ]
    assert errors[1] < 0.8 * errors[0], errors


def test_zeros_of_a_pruned_weight_stay_zero(tmp_path: Path) -> None:
    array = np.where(np.abs(weight(32, 64)) < 0.7, 0, weight(32, 64)).astype(np.float32)
    main = graph([node("MatMul", "x w", "y", name="product")], [("x", ("batch", 32))], [("y", None)], {"w": array})
    result, _ = apply(PASS, save(tmp_path / "m.onnx", main), None, centroids=16)
    after = shared_weights(result.artifact.path, weight(1, 32))["product"]
    np.testing.assert_array_equal(after[array == 0], 0)


@given(arrays_of.arrays(np.float32, st.integers(1, 60), elements=st.floats(-100, 100, width=32)), st.integers(2, 12))
def test_every_number_gets_its_nearest_centroid_and_few_numbers_are_kept(values: NDArray[Any], count: int) -> None:
    centroids, indices = cluster(values, None, count)
    assert len(centroids) <= count
    assert (np.diff(centroids) >= 0).all()
    distance = np.abs(values.astype(np.float64)[:, None] - centroids)
    np.testing.assert_allclose(distance[np.arange(len(values)), indices], distance.min(1), atol=1e-9)
    if len(np.unique(values)) <= count:
        np.testing.assert_array_equal(centroids[indices], values)


def test_weights_pull_the_centroids() -> None:
    values = np.array([0, 1, 10, 11], np.float32)
    centroids, _ = cluster(values, np.array([1, 3, 1, 1e4]), 2)
    np.testing.assert_allclose(centroids, [0.75, 11], atol=1e-3)


def test_half_precision_and_branches(tmp_path: Path) -> None:
    half, array = onnx.TensorProto.FLOAT16, weight(64, 32, dtype=np.float16)
    then = graph([node("MatMul", "x w", "a", name="inner")], [], [("a", None)], {"w": array}, "then")
    other = graph([node("MatMul", "x w2", "b", name="odd")], [], [("b", None)], {"w2": array}, "else")
    main = graph(
        [node("If", "c", "y", then_branch=then, else_branch=other)],
        [("x", (2, 64), half), ("c", (), onnx.TensorProto.BOOL)],
        [("y", None)],
    )
    path = save(tmp_path / "m.onnx", main)
    result, _ = apply(PASS, path, None, centroids=256)
    assert {change.node for change in result.changes if change.change == "rewritten"} == {"inner", "odd"}
    feeds = {"x": weight(2, 64, dtype=np.float16), "c": np.array(True)}
    assert error(path, result, feeds) < 1e-3
    assert "If, Loop or Scan" in survey(PASS, path, criterion="activations").warnings[0]


def test_what_is_refused(tmp_path: Path) -> None:
    array = weight(32, 64)
    array[0, 0] = np.inf
    main = graph([node("MatMul", "x w", "y", name="fc")], [("x", ("batch", 32))], [("y", None)], {"w": array})
    path = save(tmp_path / "m.onnx", main)
    result, _ = apply(PASS, path, None)
    assert result.artifact == open_artifact(path)
    assert "not finite" in " ".join(result.warnings)
    with pytest.raises(DataError, match="needs calibration data"):
        apply(PASS, path, None, criterion="activations")
    one = REGISTRY.get_pass(PASS)
    assert one.needs_for(parse_params(one.Params, {"criterion": "activations"})) == {Need.CALIBRATION}
    assert one.needs_for(one.Params()) == frozenset()
    assert one.refuses((Step(pass_id="quantize.static"),))
    small, _ = apply(PASS, path, None, min_weights=10_000)
    assert "less room" in small.warnings[0]
