"""Pruning by what data shows: Wanda and SparseGPT, in shares and in patterns."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from studio.api import DataError, Device, Need, Scope, Step, open_artifact, read_model
from studio.core.params import parse_params
from tests.passes.calibrated import CPU, Samples, apply, error
from tests.passes.graph.harness import REGISTRY, array_of, graph, node, run, save, survey, weight

SHARE, PATTERN = "prune.unstructured", "prune.semi-structured"
LOUD = np.array([5, 0.1, 1, 3] * 8, np.float32)


def correlated(count: int, seed: int) -> NDArray[np.float32]:
    """Inputs of unequal size that depend on each other."""
    mix = np.random.default_rng(9).standard_normal((32, 32)) * (0.8 ** np.arange(32))[:, None]
    return np.asarray((np.random.default_rng(seed).standard_normal((count, 32)) @ mix) * LOUD, dtype=np.float32)


def gemm(path: Path, outputs: int = 24) -> Path:
    main = graph(
        [node("MatMul", "x w", "y", name="fc")], [("x", ("batch", 32))], [("y", None)], {"w": weight(32, outputs)}
    )
    return save(path / "m.onnx", main)


@pytest.mark.parametrize("share", [0.5, 0.37])
def test_wanda_takes_the_least_products_of_each_row(tmp_path: Path, share: float) -> None:
    path, x = gemm(tmp_path), correlated(300, 1)
    result, proto = apply(SHARE, path, Samples(x=x), criterion="wanda", sparsity=share, samples=300)
    source, pruned = weight(32, 24), array_of(proto, "w")
    scores = np.abs(source) * np.sqrt(np.square(x, dtype=np.float64).sum(0))[:, None]
    assert np.count_nonzero(pruned == 0) == round(share * source.size) == result.notes["zeros"]
    for row in range(24):
        gone = pruned[:, row] == 0
        assert gone.sum() in (int(share * 32), int(share * 32) + 1)
        assert scores[gone, row].max() < scores[~gone, row].min()
    np.testing.assert_array_equal(pruned[pruned != 0], source[pruned != 0])


@pytest.mark.parametrize(("pass_id", "how"), [(SHARE, {"sparsity": 0.6}), (PATTERN, {"pattern": "1:4"})])
def test_on_data_not_seen_each_criterion_is_better_than_the_one_before(
    tmp_path: Path, pass_id: str, how: dict[str, Any]
) -> None:
    path, data, unseen = gemm(tmp_path), Samples(x=correlated(500, 1)), {"x": correlated(400, 2)}
    errors = []
    for criterion in ("magnitude", "wanda", "sparsegpt"):
        result, _ = apply(pass_id, path, data, criterion=criterion, samples=500, **how)
        errors.append(error(path, result, unseen))
    assert errors[2] < 0.75 * errors[1]
    assert errors[1] < errors[0]


def test_each_layer_is_fitted_to_the_original_outputs(tmp_path: Path) -> None:
    arrays = {f"w{index}": weight(32, 32, seed=index) / 6 for index in range(6)}
    biases = {f"c{index}": weight(32, seed=index) / 3 for index in range(6)}
    nodes = []
    for index in range(6):
        nodes.append(node("Gemm", f"{f'r{index}' if index else 'x'} w{index} c{index}", f"h{index}", name=f"fc{index}"))
        nodes.append(node("Relu", f"h{index}", "y" if index == 5 else f"r{index + 1}"))
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", ("batch", 32))], [("y", None)], {**arrays, **biases}))
    x, unseen = weight(600, 32, seed=8), {"x": weight(200, 32, seed=9)}
    how: dict[str, Any] = {"sparsity": 0.6, "samples": 600}
    errors = [
        error(path, apply(SHARE, path, Samples(x=x), criterion=criterion, **how)[0], unseen)
        for criterion in ("wanda", "sparsegpt")
    ]
    assert errors[1] < errors[0] / 2


def test_repair_is_exact_for_one_weight_of_two(tmp_path: Path) -> None:
    # y = w1 x1 + w2 x2: without the first weight, the best second one is known
    x = np.random.default_rng(0).standard_normal((400, 2)) @ [[1, 0.8], [0, 0.6]]
    array = np.array([[0.1], [1.0]], np.float32)
    main = graph([node("MatMul", "x w", "y", name="fc")], [("x", ("batch", 2))], [("y", None)], {"w": array})
    path = save(tmp_path / "m.onnx", main)
    how: dict[str, Any] = {
        "sparsity": 0.5,
        "samples": 400,
        "min_weights": 1,
        "dampening": 1e-9,
    }
    _, proto = apply(SHARE, path, Samples(x=x.astype(np.float32)), criterion="sparsegpt", **how)
    pruned = array_of(proto, "w").ravel()
    best = np.linalg.lstsq(x[:, 1:], x @ array.ravel(), rcond=None)[0]
    assert pruned[0] == 0
    assert pruned[1] == pytest.approx(best[0], rel=1e-4)


def test_more_columns_than_a_block_and_the_exact_share(tmp_path: Path) -> None:
    main = graph(
        [node("Gemm", "x w", "y", name="fc", transB=1)], [("x", ("batch", 300))], [("y", None)], {"w": weight(10, 300)}
    )
    path = save(tmp_path / "m.onnx", main)
    result, proto = apply(SHARE, path, Samples(x=weight(100, 300)), criterion="sparsegpt", sparsity=0.777)
    assert np.count_nonzero(array_of(proto, "w") == 0) == round(0.777 * 3000)
    assert "fewer rows" in " ".join(result.warnings)


@pytest.mark.parametrize("criterion", ["magnitude", "wanda", "sparsegpt"])
@pytest.mark.parametrize("pattern", ["2:4", "4:8", "1:4"])
def test_every_group_along_the_channels_keeps_n(tmp_path: Path, criterion: str, pattern: str) -> None:
    nodes = [
        node("Conv", "x a", "h", name="conv", pads=[1, 1, 1, 1]),
        node("Conv", "h b", "i", name="grouped", group=2),
        node("GlobalAveragePool", "i", "p"),
        node("Flatten", "p", "f"),
        node("Gemm", "f c", "g", name="fc", transB=1),
        node("MatMul", "g d", "y", name="product"),
        node("Conv", "x e", "z", name="odd"),
    ]
    arrays = {"a": weight(6, 8, 3, 3), "c": weight(24, 16), "d": weight(24, 12), "e": weight(70, 8, 1, 1)}
    arrays["b"] = weight(16, 3, 3, 3)
    main = graph(nodes, [("x", ("batch", 8, 9, 9))], [("y", None), ("z", None)], arrays)
    path = save(tmp_path / "m.onnx", main)
    kept, of = (int(part) for part in pattern.split(":"))
    result, proto = apply(PATTERN, path, Samples(x=weight(60, 8, 9, 9)), pattern=pattern, criterion=criterion)
    assert [change.node for change in result.changes] == ["conv", "fc", "product", "odd"]
    assert "multiple" in " ".join(result.warnings) and "grouped" in " ".join(result.warnings)
    for name, axis in (("a", 1), ("c", 1), ("d", 0), ("e", 1)):
        groups = np.moveaxis(array_of(proto, name), axis, -1).reshape(-1, of)
        assert (np.count_nonzero(groups, axis=1) == kept).all()
    assert result.notes["sparsity"] == 1 - kept / of


def test_magnitude_keeps_the_best_of_all_choices(tmp_path: Path) -> None:
    _, proto = apply(PATTERN, gemm(tmp_path), None, pattern="2:4")
    source, pruned = weight(32, 24), array_of(proto, "w")
    for column in range(24):
        for start in range(0, 32, 4):
            four = np.abs(source[start : start + 4, column])
            best = max(sum(four[list(two)]) for two in combinations(range(4), 2))
            assert np.abs(pruned[start : start + 4, column]).sum() == pytest.approx(best)


@pytest.mark.parametrize("criterion", ["wanda", "sparsegpt"])
@pytest.mark.parametrize(("pass_id", "kernels"), [(SHARE, (3, 4)), (PATTERN, (4, 4))])
def test_grouped_and_transposed_convolutions(
    tmp_path: Path, criterion: str, pass_id: str, kernels: tuple[int, int]
) -> None:
    nodes = [
        node("Conv", "x a", "h", name="grouped", group=2),
        node("ConvTranspose", "h b", "y", name="up", group=2, strides=[2, 2]),
    ]
    arrays = {"a": weight(8, kernels[0], 3, 3), "b": weight(8, 3, 2, 2)}
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", ("batch", 2 * kernels[0], 9, 9))], [("y", None)], arrays))
    x = weight(40, 2 * kernels[0], 9, 9)
    result, proto = apply(pass_id, path, Samples(x=x), criterion=criterion, min_weights=1)
    assert [change.node for change in result.changes] == ["grouped", "up"]
    assert [np.count_nonzero(array_of(proto, name) == 0) for name in "ab"] == [arrays[name].size // 2 for name in "ab"]
    assert error(path, result, {"x": x[:4]}) < 1
    if pass_id == PATTERN:
        groups = array_of(proto, "b").reshape(2, 4, 12).swapaxes(1, 2).reshape(-1, 4)
        assert (np.count_nonzero(groups, axis=1) == 2).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_precisions_keep_theirs(tmp_path: Path, dtype: Any) -> None:
    code = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    main = graph(
        [node("MatMul", "x w", "y")], [("x", ("batch", 32), code)], [("y", None)], {"w": weight(32, 16, dtype=dtype)}
    )
    path = save(tmp_path / "m.onnx", main)
    for pass_id, criterion in ((SHARE, "sparsegpt"), (PATTERN, "wanda"), (PATTERN, "magnitude")):
        _, proto = apply(pass_id, path, Samples(x=weight(80, 32).astype(dtype)), criterion=criterion)
        assert array_of(proto, "w").dtype == dtype
        assert np.count_nonzero(array_of(proto, "w")) == 256


def test_nothing_that_is_not_finite_is_taken(tmp_path: Path) -> None:
    x = correlated(20, 1)
    x[3, 3] = np.inf
    with pytest.raises(DataError, match="NaN or infinity at 'fc'"):
        apply(SHARE, gemm(tmp_path), Samples(x=x), criterion="wanda")
    with pytest.raises(DataError, match="needs calibration data"):
        apply(PATTERN, gemm(tmp_path), None, criterion="sparsegpt")
    array = weight(32, 24)
    array[0, 0] = np.nan
    main = graph([node("MatMul", "x w", "y", name="fc")], [("x", ("batch", 32))], [("y", None)], {"w": array})
    path = save(tmp_path / "nan.onnx", main)
    result, _ = apply(SHARE, path, Samples(x=correlated(20, 1)), criterion="sparsegpt")
    assert result.artifact == open_artifact(path)
    assert "not finite" in " ".join(result.warnings)


def test_inputs_that_are_never_active_lose_their_weights(tmp_path: Path) -> None:
    x = correlated(300, 1)
    x[:, 5] = 0
    path = gemm(tmp_path)
    result, proto = apply(SHARE, path, Samples(x=x), criterion="sparsegpt", sparsity=0.1, samples=300)
    assert not array_of(proto, "w")[5].any()
    assert error(path, result, {"x": x}) < 0.01


def test_layers_that_data_cannot_reach_are_left_alone(tmp_path: Path) -> None:
    then = graph([node("MatMul", "x w", "a", name="inner")], [], [("a", None)], {"w": weight(32, 32)}, "then")
    other = graph([node("Neg", "x", "b")], [], [("b", None)], None, "else")
    main = graph(
        [node("If", "c", "y", then_branch=then, else_branch=other)],
        [("x", (2, 32)), ("c", (), onnx.TensorProto.BOOL)],
        [("y", None)],
    )
    path = save(tmp_path / "m.onnx", main)
    for pass_id in (SHARE, PATTERN):
        found = survey(pass_id, path, criterion="wanda")
        assert not found.applies and "If, Loop or Scan" in found.warnings[0]
        assert survey(pass_id, path).nodes == ("inner",)
        result, _ = apply(pass_id, path, None)
        assert [change.node for change in result.changes] == ["inner"]


def test_what_is_needed_follows_the_criterion() -> None:
    for pass_id in (SHARE, PATTERN):
        one = REGISTRY.get_pass(pass_id)
        assert one.needs_for(one.Params()) == frozenset()
        assert one.needs_for(parse_params(one.Params, {"criterion": "wanda"})) == {Need.CALIBRATION}


def test_the_survey_says_what_hardware_gains(tmp_path: Path) -> None:
    one = REGISTRY.get_pass(PATTERN)
    model = read_model(open_artifact(gemm(tmp_path)))
    on_cpu = one.survey(model, one.Params(), CPU, Scope())
    on_gpu = one.survey(model, one.Params(), Device(runtime="r", id="GPU", name="g", kind="gpu"), Scope())
    assert on_cpu.speed is not None and (on_cpu.speed.low, on_cpu.speed.high) == (0.97, 1.04)
    assert on_gpu.speed is not None and on_gpu.speed.high > 1.04 and "NVIDIA" in on_gpu.speed.reason
    assert on_cpu.size is not None and "compressed" in on_cpu.size.reason
    assert one.survey(model, one.Params(), None, Scope()).speed is None


def test_after_quantization_it_is_refused() -> None:
    one = REGISTRY.get_pass(PATTERN)
    assert "prune first" in one.refuses((Step(pass_id="quantize.dynamic"),))
    assert not one.refuses((Step(pass_id="quantize.float16"),))


def test_generated_data_is_said(tmp_path: Path) -> None:
    result, _ = apply(PATTERN, gemm(tmp_path), Samples(True, x=correlated(50, 1)), criterion="wanda")
    assert "generated inputs" in " ".join(result.warnings)
    assert run(result.artifact.path, {"x": correlated(2, 1)})[0].shape == (2, 24)
