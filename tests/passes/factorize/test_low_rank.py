"""Low-rank factorization: exact where the weights have that rank, and better than plain SVD on correlated inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

from studio.api import Cancelled, DataError, Scope, SilentReporter, Step, open_artifact, read_model
from studio.core.params import parse_params
from tests import models
from tests.passes.calibrated import CPU, Samples, apply, error
from tests.passes.graph.harness import REGISTRY, graph, node, run, save, survey, weight

PASS = "factorize.low-rank"
EASY: dict[str, Any] = {"min_weights": 1, "time_check": False, "multiple": 1, "criterion": "ratio"}


def low_rank(*shape: int, rank: int, seed: int = 0) -> NDArray[np.float32]:
    """A matrix of this rank."""
    random = np.random.default_rng(seed)
    product = random.standard_normal((shape[0], rank)) @ random.standard_normal((rank, shape[1]))
    return np.asarray(product / rank, dtype=np.float32)


def one_layer(path: Path, operator: str, array: NDArray[Any], shape: tuple[Any, ...], **how: Any) -> Path:
    """A layer `x` -> `y`; `left` puts the weight first, `c` is its bias, `add` that of an Add behind it."""
    left, bias, add = how.pop("left", False), how.pop("c", None), how.pop("add", None)
    inputs = ("w x" if left else "x w") + (" c" if bias is not None else "")
    nodes = [node(operator, inputs, "h" if add is not None else "y", name="layer", **how)]
    weights = {"w": array} | ({"c": bias} if bias is not None else {}) | ({"d": add} if add is not None else {})
    if add is not None:
        nodes.append(node("Add", "h d", "y", name="bias"))
    return save(path / "m.onnx", graph(nodes, [("x", shape)], [("y", None)], weights), opset=17)


DENSE: list[tuple[str, tuple[int, int], tuple[Any, ...], dict[str, Any]]] = [
    ("MatMul", (12, 10), ("batch", 12), {}),
    ("MatMul", (12, 10), ("batch", 3, 12), {"add": weight(10)}),
    ("MatMul", (10, 12), ("batch", 12, 3), {"left": True}),
    ("Gemm", (12, 10), ("batch", 12), {"c": weight(10), "alpha": 0.5, "beta": 2.0}),
    ("Gemm", (10, 12), ("batch", 12), {"transB": 1, "c": weight(1, 10)}),
    ("Gemm", (12, 10), (12, 9), {"transA": 1}),
    ("Gemm", (10, 12), (12, 9), {"left": True, "alpha": 3.0, "c": weight(10, 1)}),
    ("Gemm", (12, 10), (9, 12), {"left": True, "transA": 1, "transB": 1}),
]


@pytest.mark.parametrize(("operator", "shape", "inputs", "how"), DENSE)
@pytest.mark.parametrize("reconstruct", [True, False])
def test_a_product_of_that_rank_is_found_again(
    tmp_path: Path,
    operator: str,
    shape: tuple[int, int],
    inputs: tuple[Any, ...],
    how: dict[str, Any],
    reconstruct: bool,
) -> None:
    path = one_layer(tmp_path, operator, low_rank(*shape, rank=3), inputs, **dict(how))
    # without a batch axis each sample is a whole input
    samples = (40, *inputs) if inputs[0] != "batch" else (40, *inputs[1:])
    x = weight(*samples, seed=5) + np.float32(0.3)
    result, proto = apply(PASS, path, Samples(x=x), keep=0.3, ridge=1e-6, reconstruct=reconstruct, **EASY)
    assert [change.change for change in result.changes] == ["rewritten", "added"]
    feed = x[7] if inputs[0] != "batch" else x[:5]
    assert error(path, result, {"x": feed}) < 1e-8
    assert sum(np.prod(one.dims) for one in proto.graph.initializer if "weight" in one.name) == 3 * 22
    assert result.notes["macs_share"] == pytest.approx(3 * 22 / 120)


CONV: list[tuple[tuple[int, ...], tuple[Any, ...], dict[str, Any]]] = [
    ((8, 6, 1, 1), ("batch", 6, 7, 6), {"strides": [2, 2]}),
    ((8, 6, 3, 3), ("batch", 6, 9, 8), {"pads": [1, 0, 1, 2], "strides": [2, 1], "dilations": [1, 2]}),
    ((8, 6, 3, 3), ("batch", 6, 9, 8), {"auto_pad": "SAME_LOWER", "strides": [2, 3]}),
    ((8, 6, 3), ("batch", 6, 9), {"pads": [1, 1]}),
]


@pytest.mark.parametrize(("shape", "inputs", "how"), CONV)
@pytest.mark.parametrize("convolution", ["channel", "tucker"])
def test_a_convolution_whose_kernels_span_little(
    tmp_path: Path, shape: tuple[int, ...], inputs: tuple[Any, ...], how: dict[str, Any], convolution: str
) -> None:
    kernel = low_rank(shape[0], 2 * int(np.prod(shape[2:])), rank=2).reshape(shape[0], 2, *shape[2:])
    array = np.einsum("or...,rc->oc...", kernel, weight(2, shape[1], seed=3)).astype(np.float32)
    path = one_layer(tmp_path, "Conv", array, inputs, c=weight(8), **dict(how))
    x = weight(24, *inputs[1:], seed=5)
    result, _ = apply(PASS, path, Samples(x=x), keep=0.5, convolution=convolution, ridge=1e-6, **EASY)
    assert result.changes
    assert error(path, result, {"x": x[:3]}) < 1e-8


@pytest.mark.parametrize("how", [CONV[1][2], CONV[2][2]])
def test_separable_kernels_become_two_one_sided_ones(tmp_path: Path, how: dict[str, Any]) -> None:
    vertical, horizontal = weight(2, 6, 3, seed=1), weight(8, 2, 3, seed=2)
    array = np.einsum("rch,orw->ochw", vertical, horizontal).astype(np.float32)
    path = one_layer(tmp_path, "Conv", array, ("batch", 6, 9, 8), c=weight(8), **how)
    x = weight(24, 6, 9, 8, seed=5)
    result, proto = apply(PASS, path, Samples(x=x), keep=0.5, convolution="spatial", ridge=1e-6, **EASY)
    kernels = [list(one.attribute[0].ints) for one in proto.graph.node if one.op_type == "Conv"]
    assert sorted(kernels) == [[1, 3], [3, 1]]
    assert error(path, result, {"x": x[:3]}) < 1e-8
    assert result.provenance == {"layer_first": ("layer",)}


def correlated(count: int, width: int, seed: int) -> NDArray[np.float32]:
    """Inputs that vary in a few directions only, of which the weights know nothing."""
    mix = np.random.default_rng(9).standard_normal((width, width)) * (0.75 ** np.arange(width))[:, None]
    return np.asarray(np.random.default_rng(seed).standard_normal((count, width)) @ mix, dtype=np.float32)


def plain_svd(path: Path, result_path: Path, rank: int) -> None:
    """Replace every weight of a model by its best approximation of this rank."""
    proto = onnx.load(str(path))
    for tensor in proto.graph.initializer:
        if len(tensor.dims) == 2:
            u, s, v = np.linalg.svd(onnx.numpy_helper.to_array(tensor), full_matrices=False)
            array = (u[:, :rank] * s[:rank] @ v[:rank]).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    onnx.save(proto, str(result_path))


def test_on_data_not_seen_each_step_is_better_than_plain_svd(tmp_path: Path) -> None:
    nodes = [
        node("Gemm", "x a c", "h", name="one"),
        node("Relu", "h", "r"),
        node("Gemm", "r b", "s", name="two"),
        node("Tanh", "s", "t"),
        node("Gemm", "t d", "y", name="three"),
    ]
    arrays = {
        "a": weight(32, 32) / 8,
        "b": weight(32, 32, seed=1) / 6,
        "c": weight(32, seed=2),
        "d": weight(32, 24, seed=3),
    }
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", ("batch", 32))], [("y", None)], arrays))
    data, unseen = Samples(x=correlated(600, 32, 1)), {"x": correlated(500, 32, 2)}
    plain_svd(path, tmp_path / "svd.onnx", 8)
    right, svd = run(path, unseen)[0], run(tmp_path / "svd.onnx", unseen)[0]
    plain = np.square(right - svd).sum() / np.square(right).sum()
    errors = [
        error(path, apply(PASS, path, data, keep=0.25, samples=600, reconstruct=fitted, rounds=9, **EASY)[0], unseen)
        for fitted in (False, True)
    ]
    assert errors[0] < plain / 2
    assert errors[1] < errors[0]


def two_unequal(path: Path) -> Path:
    """A layer that loses nothing by a low rank, and one that loses much."""
    nodes = [
        node("MatMul", "x a", "h", name="easy"),
        node("MatMul", "x b", "k", name="hard"),
        node("Concat", "h k", "y", axis=1),
    ]
    arrays = {"a": low_rank(32, 32, rank=4), "b": np.linalg.qr(weight(32, 32))[0]}
    return save(path / "m.onnx", graph(nodes, [("x", ("batch", 32))], [("y", None)], arrays))


def test_a_budget_is_spent_where_it_helps(tmp_path: Path) -> None:
    path = two_unequal(tmp_path)
    how = {**EASY, "criterion": "macs", "keep": 0.65}
    result, _ = apply(PASS, path, Samples(x=weight(200, 32)), **how)
    assert [change.node for change in result.changes if change.change == "rewritten"] == ["easy"]
    assert float(result.notes["macs_share"]) <= 0.65
    assert "hard" in " ".join(result.warnings)
    by_parameters, _ = apply(PASS, path, Samples(x=weight(200, 32)), **{**how, "criterion": "parameters"})
    assert [change.node for change in by_parameters.changes] == [change.node for change in result.changes]


def test_the_energy_kept_sets_the_rank(tmp_path: Path) -> None:
    result, _ = apply(
        PASS, two_unequal(tmp_path), Samples(x=weight(200, 32)), **{**EASY, "criterion": "energy", "energy": 0.999}
    )
    assert [change.node for change in result.changes if change.change == "rewritten"] == ["easy"]
    assert "rank 4" in result.changes[0].detail


def test_by_the_clock_and_with_the_time_check_it_runs(tmp_path: Path) -> None:
    path = save(
        tmp_path / "m.onnx",
        graph([node("MatMul", "x a", "y", name="fc")], [("x", ("batch", 256))], [("y", None)], {"a": weight(256, 256)}),
    )
    for criterion in ("latency", "macs"):
        result, _ = apply(PASS, path, Samples(x=weight(20, 256)), criterion=criterion, keep=0.4)
        if result.changes:
            assert "of the time alone" in result.changes[0].detail
        else:
            assert "measured" in " ".join(result.warnings) or "no rank" in " ".join(result.warnings)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_precisions_keep_theirs(tmp_path: Path, dtype: Any) -> None:
    code = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    array = low_rank(12, 10, rank=3).astype(dtype)
    main = graph([node("MatMul", "x w", "y", name="fc")], [("x", ("batch", 12), code)], [("y", None)], {"w": array})
    path = save(tmp_path / "m.onnx", main)
    x = weight(30, 12).astype(dtype)
    result, proto = apply(PASS, path, Samples(x=x), keep=0.3, **EASY)
    assert {one.data_type for one in proto.graph.initializer} == {code}
    assert error(path, result, {"x": x}) < 1e-4


@pytest.mark.parametrize("keep", [0.0, 1.0])
def test_the_ends_of_the_scale(tmp_path: Path, keep: float) -> None:
    path = two_unequal(tmp_path)
    result, _ = apply(PASS, path, Samples(x=weight(20, 32)), keep=keep, **EASY)
    found = survey(PASS, path, keep=keep, **EASY)
    if keep:
        assert (result.artifact.path, result.changes) == (path, ())
        assert not found.applies
        assert "nothing" in result.warnings[0]
    else:
        assert found.nodes == ("easy", "hard")
        assert all("rank 1:" in change.detail for change in result.changes if change.change == "rewritten")
        assert "fewer rows" in " ".join(result.warnings)


def test_synthetic_data_is_said(tmp_path: Path) -> None:
    result, _ = apply(PASS, two_unequal(tmp_path), Samples(True, x=weight(50, 32)), keep=0.2, **EASY)
    assert "generated inputs" in " ".join(result.warnings)


def test_nan_is_refused(tmp_path: Path) -> None:
    x = weight(20, 32)
    x[3, 3] = np.nan
    with pytest.raises(DataError, match="NaN or infinity at 'easy'"):
        apply(PASS, two_unequal(tmp_path), Samples(x=x), keep=0.2, **EASY)
    with pytest.raises(DataError, match="needs calibration data"):
        apply(PASS, tmp_path / "m.onnx", None, keep=0.2, **EASY)


def test_what_is_left_alone_is_said(tmp_path: Path) -> None:
    then = graph([node("MatMul", "h i", "a", name="inner")], [], [("a", None)], {"i": weight(8, 8)}, "then")
    other = graph([node("Neg", "h", "b")], [], [("b", None)], None, "else")
    nodes = [
        node("MatMul", "x s", "f", name="shared1"),
        node("MatMul", "f s", "g", name="shared2"),
        node("DequantizeLinear", "q z", "v"),
        node("MatMul", "g v", "p", name="quantized"),
        node("MatMul", "p given", "h", name="replaceable"),
        node("If", "c", "y", then_branch=then, else_branch=other),
    ]
    arrays = {"s": weight(8, 8), "q": np.ones((8, 8), np.int8), "z": np.float32(0.1), "given": weight(8, 8)}
    inputs: list[Any] = [("x", (2, 8)), ("c", (), TensorProto.BOOL), ("given", (8, 8))]
    path = save(tmp_path / "m.onnx", graph(nodes, inputs, [("y", None)], arrays))
    result, _ = apply(PASS, path, None, **EASY)
    said = " ".join(result.warnings)
    assert result.artifact == open_artifact(path)
    assert all(text in said for text in ("shared: shared1", "quantized: quantized", "caller", "If, Loop or Scan"))


def test_a_grouped_convolution_is_left_alone(tmp_path: Path) -> None:
    path = one_layer(tmp_path, "Conv", weight(8, 2, 3, 3), ("batch", 4, 8, 8), group=2)
    result, _ = apply(PASS, path, Samples(x=weight(8, 4, 8, 8)), **EASY)
    assert "grouped" in result.warnings[0]
    found = survey(PASS, path, **EASY)
    assert not found.applies


def test_the_scope_is_kept_and_the_survey_names_the_layers(tmp_path: Path) -> None:
    path = two_unequal(tmp_path)
    scope = Scope(names=("hard",))
    result, _ = apply(PASS, path, Samples(x=weight(50, 32)), scope=scope, keep=0.2, **EASY)
    assert {change.node for change in result.changes} == {"hard", "hard_first"}
    one = REGISTRY.get_pass(PASS)
    found = one.survey(read_model(open_artifact(path)), parse_params(one.Params, EASY), CPU, Scope())
    assert found.nodes == ("easy", "hard")
    assert found.speed is not None and found.speed.low < 1 < found.speed.high
    assert "2 layers" in found.summary


def test_quantized_before_is_refused() -> None:
    one = REGISTRY.get_pass(PASS)
    assert "factorize first" in one.refuses((Step(pass_id="quantize.static"),))
    assert not one.refuses((Step(pass_id="graph.clean"), Step(pass_id="quantize.float16")))


def test_a_residual_network_through_identity_and_constant(tmp_path: Path) -> None:
    constant = onnx.numpy_helper.from_array(low_rank(16, 16, rank=2))
    nodes = [
        node("Constant", "", "k", value=constant),
        node("Identity", "k", "i"),
        node("MatMul", "x i", "h", name="fc"),
        node("Add", "h x", "y"),
    ]
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", ("batch", 16))], [("y", None)]))
    x = weight(60, 16)
    result, proto = apply(PASS, path, Samples(x=x), keep=0.2, ridge=1e-6, **EASY)
    assert [one.op_type for one in proto.graph.node] == ["MatMul", "MatMul", "Add"]
    assert error(path, result, {"x": x}) < 1e-6


def test_it_can_be_cancelled(tmp_path: Path) -> None:
    class Stop(SilentReporter):
        def check(self) -> None:
            raise Cancelled

    with pytest.raises(Cancelled):
        apply(PASS, two_unequal(tmp_path), Samples(x=weight(50, 32)), reporter=Stop(), **EASY)


def test_external_weights(tmp_path: Path) -> None:
    path = models.save_external(models.mlp(32, 64, 16), tmp_path / "m.onnx")
    result, _ = apply(PASS, path, Samples(image=weight(90, 32)), keep=0.4, **EASY)
    assert result.notes["layers"] == 2
