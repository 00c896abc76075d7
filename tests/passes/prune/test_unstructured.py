"""Magnitude pruning: exactly the share asked for, of the right weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from studio.api import Cancelled, Device, PassContext, PassResult, Scope, SilentReporter, UsageError, open_artifact
from studio.api import read_model as read
from studio.core.params import parse_params
from tests.passes.graph.harness import (
    REGISTRY,
    ROOT,
    array_of,
    graph,
    node,
    once,
    run,
    save,
    signature,
    survey,
    weight,
)

PASS = "prune.unstructured"
SAMPLE = ROOT / "assets" / "samples" / "mnist-resnet.onnx"


def prune(path: Path, scope: Scope | None = None, **params: Any) -> tuple[PassResult, onnx.ModelProto]:
    """Prune and check: valid, same signature, and the nodes that the survey named."""
    params.setdefault("min_weights", 1)
    result = once(PASS, open_artifact(path), path.parent / "result", scope, **params)
    proto = onnx.load(str(result.artifact.path))
    onnx.checker.check_model(str(result.artifact.path), full_check=True)
    assert signature(proto) == signature(onnx.load(str(path)))
    found = survey(PASS, path, scope, **params)
    assert found.applies == bool(result.changes)
    assert found.nodes == tuple(change.node for change in result.changes)
    return result, proto


def one_gemm(path: Path, array: NDArray[Any]) -> Path:
    code = helper.np_dtype_to_tensor_dtype(array.dtype)
    main = graph([node("Gemm", "x w", "y", name="fc")], [("x", (2, array.shape[0]), code)], [("y", None)], {"w": array})
    return save(path / "m.onnx", main, opset=17)


def two_layers(path: Path) -> Path:
    """A layer of small and one of large weights."""
    nodes = [node("Conv", "x a", "h", name="small"), node("Conv", "h b", "y", name="large")]
    weights = {"a": weight(4, 3, 3, 3) * np.float32(0.01), "b": weight(5, 4, 3, 3, seed=1)}
    return save(path / "m.onnx", graph(nodes, [("x", (1, 3, 9, 9))], [("y", None)], weights))


@pytest.mark.parametrize("sparsity", [0.001, 0.3, 0.5, 0.77, 0.9, 0.999])
def test_exactly_the_share_of_least_magnitude_goes(tmp_path: Path, sparsity: float) -> None:
    source = weight(40, 30)
    result, proto = prune(one_gemm(tmp_path, source), sparsity=sparsity)
    pruned, count = array_of(proto, "w"), round(sparsity * source.size)
    order = np.argsort(np.abs(source), axis=None)
    expected = source.reshape(-1).copy()
    expected[order[:count]] = 0
    np.testing.assert_array_equal(pruned, expected.reshape(source.shape))
    assert result.notes["zeros"] == count
    assert result.notes["sparsity"] == count / source.size


@pytest.mark.parametrize("ranking", ["layer", "global"])
def test_ties_are_cut_to_the_exact_count(tmp_path: Path, ranking: str) -> None:
    source = np.where(weight(20, 10) > 0, 1, -1).astype(np.float32)
    result, proto = prune(one_gemm(tmp_path, source), sparsity=0.375, ranking=ranking)
    assert np.count_nonzero(array_of(proto, "w") == 0) == 75 == result.notes["zeros"]
    again = once(
        PASS, open_artifact(tmp_path / "m.onnx"), tmp_path / "again", sparsity=0.375, min_weights=1, ranking=ranking
    )
    assert again.artifact.sha256 == result.artifact.sha256


def test_zeros_that_are_there_count(tmp_path: Path) -> None:
    source = weight(20, 10)
    source[:15] = 0
    result, proto = prune(one_gemm(tmp_path, source), sparsity=0.5)
    np.testing.assert_array_equal(array_of(proto, "w"), source)
    assert result.notes["zeros"] == 150


def test_nan_and_infinity_are_kept(tmp_path: Path) -> None:
    source = weight(20, 10)
    source[0, :3] = [np.nan, np.inf, -np.inf]
    _, proto = prune(one_gemm(tmp_path, source), sparsity=0.9)
    assert not np.isfinite(array_of(proto, "w")[0, :3]).any()
    assert np.count_nonzero(array_of(proto, "w")) == 20


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_precisions_keep_theirs(tmp_path: Path, dtype: Any) -> None:
    source = weight(20, 10, dtype=dtype)
    _, proto = prune(one_gemm(tmp_path, source), sparsity=0.5)
    pruned = array_of(proto, "w")
    assert pruned.dtype == dtype
    np.testing.assert_array_equal(pruned[pruned != 0], source[pruned != 0])
    assert np.count_nonzero(pruned) == 100


def test_each_layer_or_the_whole_model(tmp_path: Path) -> None:
    path = two_layers(tmp_path)
    _, by_layer = prune(path, sparsity=0.5)
    assert np.count_nonzero(array_of(by_layer, "a")) == 54
    assert np.count_nonzero(array_of(by_layer, "b")) == 90
    result = once(PASS, open_artifact(path), tmp_path / "global", sparsity=0.5, min_weights=1, ranking="global")
    proto = onnx.load(str(result.artifact.path))
    assert np.count_nonzero(array_of(proto, "a")) < np.count_nonzero(array_of(proto, "b"))
    assert np.count_nonzero(array_of(proto, "a")) + np.count_nonzero(array_of(proto, "b")) == 144
    assert result.notes == {"sparsity": 0.5, "zeros": 144, "weights": 288, "layers": 2}
    assert sum(int(change.detail.split()[0]) for change in result.changes) == 144


def test_small_layers_are_left_alone(tmp_path: Path) -> None:
    result, proto = prune(two_layers(tmp_path), sparsity=0.5, min_weights=150)
    assert [change.node for change in result.changes] == ["large"]
    assert np.count_nonzero(array_of(proto, "a")) == 108


def test_the_result_runs_and_only_weights_changed(tmp_path: Path) -> None:
    path = two_layers(tmp_path)
    result, proto = prune(path, sparsity=0.5)
    feeds = {"x": weight(1, 3, 9, 9)}
    assert run(result.artifact.path, feeds)[0].shape == run(path, feeds)[0].shape
    assert [one.SerializeToString() for one in proto.graph.node] == [
        one.SerializeToString() for one in onnx.load(str(path)).graph.node
    ]


def test_every_kind_of_layer_and_holder(tmp_path: Path) -> None:
    tensor = numpy_helper.from_array(weight(6, 5, seed=4))
    nodes = [
        node("ConvTranspose", "x a", "h", name="up"),
        node("GlobalAveragePool", "h", "p"),
        node("Flatten", "p", "f"),
        node("Identity", "b", "b1"),
        node("Identity", "b1", "b2"),
        node("MatMul", "f b2", "m", name="through-identity"),
        node("Constant", "", "k", value=tensor),
        node("Identity", "k", "k1"),
        node("Gemm", "m k1 c", "g", name="through-constant"),
        node("MatMul", "left g", "y", name="weight-on-the-left"),
    ]
    weights = {"a": weight(3, 4, 2, 2), "b": weight(4, 6), "c": weight(5), "left": weight(7, 2)}
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (2, 3, 5, 5))], [("y", None)], weights))
    result, proto = prune(path, sparsity=0.5)
    assert [change.node for change in result.changes] == [
        "up",
        "through-identity",
        "through-constant",
        "weight-on-the-left",
    ]
    assert np.count_nonzero(array_of(proto, "b")) == 12
    assert np.count_nonzero(array_of(proto, "c")) == 5
    constant = next(one for one in proto.graph.node if one.op_type == "Constant")
    assert np.count_nonzero(numpy_helper.to_array(constant.attribute[0].t)) == 15


@pytest.mark.parametrize(
    ("nodes", "weights", "reason"),
    [
        ([node("MatMul", "x w", "h"), node("MatMul", "h w", "y")], {"w": weight(8, 8)}, "shared"),
        (
            [node("Identity", "w", "v"), node("MatMul", "x v", "h"), node("Gemm", "h w", "y")],
            {"w": weight(8, 8)},
            "shared",
        ),
        ([node("MatMul", "x x", "y")], {}, "no constant weight"),
        (
            [node("DequantizeLinear", "w s", "v"), node("MatMul", "x v", "y")],
            {"w": np.ones((8, 8), np.int8), "s": np.float32(1)},
            "quantized",
        ),
    ],
)
def test_what_is_left_alone_is_said(tmp_path: Path, nodes: list[Any], weights: dict[str, Any], reason: str) -> None:
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (8, 8))], [("y", None)], weights))
    result, _ = prune(path)
    assert result.artifact == open_artifact(path)
    assert any(reason in text for text in result.warnings)


def test_a_weight_that_a_caller_may_replace_is_left_alone(tmp_path: Path) -> None:
    main = graph([node("MatMul", "x w", "y")], [("x", (2, 8)), ("w", (8, 8))], [("y", None)], {"w": weight(8, 8)})
    result, _ = prune(save(tmp_path / "m.onnx", main))
    assert any("caller" in text for text in result.warnings)


def test_before_ir_version_4_listed_weights_are_pruned(tmp_path: Path) -> None:
    main = graph([node("MatMul", "x w", "y")], [("x", (2, 8)), ("w", (8, 8))], [("y", None)], {"w": weight(8, 8)})
    _, proto = prune(save(tmp_path / "m.onnx", main, ir_version=3, opset=11), sparsity=0.5)
    assert np.count_nonzero(array_of(proto, "w")) == 32


def test_inside_a_branch(tmp_path: Path) -> None:
    then = graph([node("MatMul", "x w", "a")], [], [("a", None)], {"w": weight(8, 8)}, "then")
    other = graph([node("Neg", "x", "b")], [], [("b", None)], None, "else")
    nodes = [node("If", "c", "y", then_branch=then, else_branch=other)]
    main = graph(nodes, [("x", (2, 8)), ("c", (), onnx.TensorProto.BOOL)], [("y", None)])
    result, _ = prune(save(tmp_path / "m.onnx", main), sparsity=0.5)
    assert [change.node for change in result.changes] == ["MatMul:a"]


def test_the_scope_is_kept(tmp_path: Path) -> None:
    _, proto = prune(two_layers(tmp_path), Scope(names=("large",)), sparsity=0.5)
    assert np.count_nonzero(array_of(proto, "a")) == 108
    assert np.count_nonzero(array_of(proto, "b")) == 90


def test_a_sparsity_of_zero_is_nothing_to_do(tmp_path: Path) -> None:
    result, _ = prune(two_layers(tmp_path), sparsity=0)
    assert result.changes == ()
    assert "0 prunes nothing" in result.warnings[0]


@pytest.mark.parametrize("sparsity", [1, 1.5, -0.1])
def test_a_share_that_makes_no_sense_is_refused(sparsity: float) -> None:
    with pytest.raises(UsageError, match="sparsity"):
        parse_params(REGISTRY.find("pass", PASS).Params, {"sparsity": sparsity}, owner=PASS)


def test_the_survey_says_that_cpus_do_not_gain(tmp_path: Path) -> None:
    one = REGISTRY.find("pass", PASS)
    model = read(open_artifact(two_layers(tmp_path)))
    device = Device(runtime="r", id="CPU", name="cpu", kind="cpu")
    found = one.survey(model, one.Params(min_weights=1), device, Scope())
    assert found.summary == "50% of 288 weights in 2 layers"
    assert found.speed is not None and (found.speed.low, found.speed.high) == (0.97, 1.04)
    assert found.size is not None and "compressed" in found.size.reason
    assert one.survey(model, one.Params(min_weights=1), None, Scope()).speed is None


class Stop(SilentReporter):
    """Asks to stop at the n-th check."""

    def __init__(self, after: int) -> None:
        self.left = after

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Cancelled


@pytest.mark.parametrize("after", [0, 4, 7])
def test_it_can_be_cancelled_while_ranking_and_while_writing(tmp_path: Path, after: int) -> None:
    one = REGISTRY.find("pass", PASS)
    context = PassContext(workdir=tmp_path / "result", reporter=Stop(after))
    context.workdir.mkdir()
    with pytest.raises(Cancelled):
        one.apply(open_artifact(two_layers(tmp_path)), one.Params(min_weights=1), context)


def test_the_bundled_sample(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(SAMPLE.read_bytes())
    result, _ = prune(path, sparsity=0.8, ranking="global")
    assert result.notes["sparsity"] == pytest.approx(0.8, abs=1e-5)
    assert run(result.artifact.path, {"image": weight(2, 1, 28, 28)})[0].shape == (2, 10)
