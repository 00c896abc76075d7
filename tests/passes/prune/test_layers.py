"""Dropping residual blocks: those that matter least, with a correction of the skip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

from studio.api import Cancelled, DataError, Scope, SilentReporter, open_artifact, read_model
from tests.passes.calibrated import CPU, Samples, apply, error
from tests.passes.graph.harness import REGISTRY, ROOT, graph, node, run, save, survey, weight
from tests.passes.quantize import support

PASS = "prune.layers"
SIZES = (1.0, 0.01, 0.5, 0.05)


def blocks(path: Path, sizes: tuple[float, ...] = SIZES, batch: int | str = "batch") -> Path:
    """Residual blocks of convolutions whose branches are as large as `sizes` says; the last sum is the output."""
    nodes, arrays = [], {}
    for index, size in enumerate(sizes):
        before, after = f"x{index}" if index else "x", f"x{index + 1}" if index + 1 < len(sizes) else "y"
        arrays[f"a{index}"] = weight(6, 6, 3, 3, seed=2 * index) * np.float32(0.2)
        arrays[f"b{index}"] = weight(6, 6, 3, 3, seed=2 * index + 1) * np.float32(0.2 * size)
        arrays[f"c{index}"] = weight(6, seed=index) * np.float32(size)
        nodes += [
            node("Conv", f"{before} a{index}", f"h{index}", name=f"one{index}", pads=[1, 1, 1, 1]),
            node("Relu", f"h{index}", f"r{index}", name=f"relu{index}"),
            node("Conv", f"r{index} b{index} c{index}", f"s{index}", name=f"two{index}", pads=[1, 1, 1, 1]),
            node("Add", f"s{index} {before}" if index % 2 else f"{before} s{index}", after, name=f"add{index}"),
        ]
    return save(path / "m.onnx", graph(nodes, [("x", (batch, 6, 8, 8))], [("y", None)], arrays))


def images(count: int = 24, seed: int = 5) -> NDArray[np.float32]:
    return weight(count, 6, 8, 8, seed=seed)


@pytest.mark.parametrize("correction", ["affine", "bias", "none"])
@pytest.mark.parametrize("batch", ["batch", 4])
def test_the_blocks_that_matter_least_go(tmp_path: Path, correction: str, batch: int | str) -> None:
    path = blocks(tmp_path, batch=batch)
    result, proto = apply(PASS, path, Samples(x=images(22)), ratio=0.5, correction=correction)
    rewritten = [change.node for change in result.changes if change.change == "rewritten"]
    assert rewritten == ["add1", "add3"]
    assert {one.name for one in proto.graph.node if one.op_type == "Conv"} == {"one0", "two0", "one2", "two2"}
    assert not {one.name for one in proto.graph.initializer} & {"a1", "b1", "c1", "a3", "b3", "c3"}
    assert result.notes["weights_removed"] == 2 * (2 * 6 * 6 * 9 + 6)
    removed = {change.node: change.operator for change in result.changes if change.change == "removed"}
    assert removed["relu1"] == "Relu"
    assert error(path, result, {"x": images(4, seed=9)}) < 0.02


def test_the_correction_helps_on_data_not_seen(tmp_path: Path) -> None:
    path = blocks(tmp_path, (0.5, 0.4, 0.6))
    unseen = {"x": images(16, seed=9)}
    errors = [
        error(path, apply(PASS, path, Samples(x=images(64)), ratio=0.4, correction=how)[0], unseen)
        for how in ("none", "bias", "affine")
    ]
    assert errors[1] < errors[0]
    assert errors[2] < 1.05 * errors[1]


def test_a_branch_that_only_scales_each_channel_is_replaced_exactly(tmp_path: Path) -> None:
    kernel = np.diag(weight(6)).astype(np.float32)[:, :, None, None]
    nodes = [node("Conv", "x k c", "h", name="conv"), node("Add", "x h", "y", name="add")]
    path = save(
        tmp_path / "m.onnx",
        graph(nodes, [("x", ("batch", 6, 8, 8))], [("y", None)], {"k": kernel, "c": weight(6, seed=1)}),
    )
    result, proto = apply(PASS, path, Samples(x=images(64)), ratio=1)
    assert [one.op_type for one in proto.graph.node] == ["Mul", "Add"]
    assert error(path, result, {"x": images(3, seed=9)}) < 1e-5


def test_a_projected_skip_is_kept(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x a", "h", name="one", pads=[1, 1, 1, 1]),
        node("Relu", "h", "r", name="relu"),
        node("Conv", "r b", "s", name="two", pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Conv", "x p", "q", name="projection", strides=[2, 2]),
        node("Add", "q s", "t", name="add"),
        node("Relu", "t", "y"),
    ]
    arrays = {"a": weight(6, 6, 3, 3), "b": weight(9, 6, 3, 3) / 10, "p": weight(9, 6, 1, 1)}
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", ("batch", 6, 8, 8))], [("y", None)], arrays))
    result, proto = apply(PASS, path, Samples(x=images()), ratio=1)
    assert [one.name for one in proto.graph.node if one.op_type == "Conv"] == ["projection"]
    assert result.notes["dropped"] == 1


def test_a_transformer_loses_attention_or_feed_forward_parts(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(support.transformer(layers=2), path)
    sentences = support.sentences(24)
    data = Samples(mask=sentences["mask"], tokens=sentences["tokens"])
    assert survey(PASS, path, ratio=1).summary == "up to 4 of 4 residual blocks"
    result, proto = apply(PASS, path, data, ratio=0.5)
    assert result.notes["dropped"] == 2
    assert len(proto.graph.node) < len(onnx.load(str(path)).graph.node)
    assert error(path, result, support.sentences(8, seed=4)) < 1
    everything, proto = apply(PASS, path, data, ratio=1)
    assert everything.notes["dropped"] == 4
    assert not [one for one in proto.graph.node if one.op_type == "MatMul"]


def test_blocks_inside_a_block_go_with_it(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", "x a", "h", name="outer1"),
        node("MatMul", "h b", "i", name="inner"),
        node("Add", "i h", "j", name="inner-add"),
        node("MatMul", "j c", "k", name="outer2"),
        node("Add", "k x", "y", name="outer-add"),
    ]
    arrays = {name: weight(8, 8, seed=index) for index, name in enumerate("abc")}
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", ("batch", 8))], [("y", None)], arrays))
    for correction in ("affine", "none"):
        result, proto = apply(PASS, path, Samples(x=weight(30, 8)), ratio=1, correction=correction)
        assert not [one for one in proto.graph.node if one.op_type == "MatMul"]
        assert [change.node for change in result.changes if change.node == "inner-add"] == ["inner-add"]
        assert run(result.artifact.path, {"x": weight(3, 8)})[0].shape == (3, 8)


def test_sums_that_are_no_residual_are_left_alone(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", "x a", "h", name="left"),
        node("MatMul", "z b", "i", name="right"),
        node("Add", "h i", "j", name="two-sources"),
        node("Add", "j d", "m", name="bias"),
        node("Relu", "m", "n"),
        node("Add", "n m", "y", name="no-weights"),
    ]
    arrays = {"a": weight(8, 8), "b": weight(8, 8), "d": weight(8)}
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (2, 8)), ("z", (2, 8))], [("y", None)], arrays))
    result, _ = apply(PASS, path, None, ratio=1)
    assert result.artifact == open_artifact(path)
    assert "two-sources, no-weights" in " ".join(result.warnings)


def test_a_skip_that_is_stretched_is_left_alone(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "r"), node("MatMul", "r a", "h", name="wide"), node("Add", "h r", "y", name="add")]
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", ("batch", 1))], [("y", None)], {"a": weight(1, 8)}))
    result, _ = apply(PASS, path, Samples(x=weight(9, 1)), ratio=1)
    assert result.changes == ()
    assert "different shapes when they run: add" in " ".join(result.warnings)


def test_a_branch_that_others_look_at_keeps_what_they_need(tmp_path: Path) -> None:
    then = graph([node("Neg", "h", "a")], [], [("a", None)], None, "then")
    other = graph([node("Abs", "h", "b")], [], [("b", None)], None, "else")
    nodes = [
        node("MatMul", "x a0", "h", name="one"),
        node("MatMul", "h b0", "i", name="two"),
        node("Add", "x i", "y", name="add"),
        node("If", "c", "z", then_branch=then, else_branch=other),
    ]
    main = graph(
        nodes,
        [("x", (2, 8)), ("c", (), TensorProto.BOOL)],
        [("y", None), ("z", None)],
        {"a0": weight(8, 8), "b0": weight(8, 8)},
    )
    path = save(tmp_path / "m.onnx", main)
    result, proto = apply(PASS, path, Samples(x=weight(30, 2, 8), c=np.ones(30, bool)), ratio=1)
    assert [one.name for one in proto.graph.node if one.op_type == "MatMul"] == ["one"]
    feeds = {"x": weight(2, 8), "c": np.array(True)}
    np.testing.assert_allclose(run(result.artifact.path, feeds)[1], run(path, feeds)[1], rtol=1e-6)


@pytest.mark.parametrize(("how", "why"), [({"ratio": 0}, "changes nothing"), ({"most_error": 0}, "within the error")])
def test_nothing_to_do_is_said(tmp_path: Path, how: dict[str, Any], why: str) -> None:
    path = blocks(tmp_path)
    result, _ = apply(PASS, path, Samples(x=images()), **how)
    assert (result.artifact.path, result.changes) == (path, ())
    assert why in result.warnings[0]


def test_the_error_allowed_limits_how_many_go(tmp_path: Path) -> None:
    path = blocks(tmp_path)
    result, _ = apply(PASS, path, Samples(x=images()), ratio=1, most_error=0.02)
    assert result.notes["dropped"] == 2
    assert float(result.notes["energy_lost_before_correction"]) <= 0.02


def test_half_precision(tmp_path: Path) -> None:
    half = np.float16
    arrays = {"a": weight(8, 8, dtype=half), "b": weight(8, 8, dtype=half)}
    nodes = [
        node("MatMul", "x a", "h"),
        node("MatMul", "h b", "i"),
        node("Add", "x i", "s", name="add"),
        node("Neg", "s", "y"),
    ]
    main = graph(nodes, [("x", ("batch", 8), TensorProto.FLOAT16)], [("y", None)], arrays)
    path = save(tmp_path / "m.onnx", main)
    result, proto = apply(PASS, path, Samples(x=weight(30, 8, dtype=half)), ratio=1)
    assert {one.data_type for one in proto.graph.initializer} == {TensorProto.FLOAT16}
    assert result.notes["dropped"] == 1


def test_scope_and_survey(tmp_path: Path) -> None:
    path = blocks(tmp_path)
    result, _ = apply(PASS, path, Samples(x=images()), scope=Scope(names=("add0",)), ratio=1)
    assert {change.node for change in result.changes} == {"add0", "one0", "relu0", "two0"}
    one = REGISTRY.get_pass(PASS)
    found = one.survey(read_model(open_artifact(path)), one.Params(), CPU, Scope())
    assert found.summary == "up to 1 of 4 residual blocks"
    assert found.nodes[:4] == ("one0", "relu0", "two0", "add0")
    assert found.speed is not None and found.speed.low == 1 and found.size is not None


def test_bad_data_is_refused(tmp_path: Path) -> None:
    path, x = blocks(tmp_path), images()
    x[3, 3] = np.nan
    with pytest.raises(DataError, match="NaN or infinity"):
        apply(PASS, path, Samples(x=x))
    with pytest.raises(DataError, match="needs calibration data"):
        apply(PASS, path, None)
    with pytest.raises(DataError, match="no sample"):
        apply(PASS, path, Samples(x=x[:0]))


def test_it_can_be_cancelled(tmp_path: Path) -> None:
    class Stop(SilentReporter):
        left = 40

        def check(self) -> None:
            self.left -= 1
            if self.left < 0:
                raise Cancelled

    with pytest.raises(Cancelled):
        apply(PASS, blocks(tmp_path), Samples(x=images()), reporter=Stop(), ratio=1)
    assert not any(list(folder.iterdir()) for folder in tmp_path.glob("work*"))


def test_the_bundled_sample_loses_two_blocks(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes((ROOT / "assets" / "samples" / "mnist-resnet.onnx").read_bytes())
    pictures = np.load(ROOT / "assets" / "samples" / "mnist-calibration.npz")["image"][:32]
    result, _ = apply(PASS, path, Samples(True, image=pictures.astype(np.float32)), samples=16)
    assert result.notes["dropped"] == 2
    assert result.artifact.bytes < 0.8 * open_artifact(path).bytes
    assert "generated inputs" in result.warnings[-1]
