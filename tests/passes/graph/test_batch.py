"""Another batch, for models that hard-code theirs; several samples at once against one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from studio.api import PassError, Scope, open_artifact
from tests.passes.graph import dynamic
from tests.passes.graph.harness import FLOAT, graph, node, once, run, save, survey, verified, weight

ID = "graph.batch"


def shape_of(value: onnx.ValueInfoProto) -> list[int | str]:
    return [dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim]


def interface(record: Any) -> tuple[list[list[int | str]], list[list[int | str]]]:
    proto = onnx.load(str(record.artifact.path))
    return [shape_of(value) for value in proto.graph.input], [shape_of(value) for value in proto.graph.output]


def attention(path: Path, batch: int = 1, opset: int = 17) -> Path:
    """One attention head that hard-codes its batch in every Reshape: `x` [batch, 6, 8] -> `y` [batch, 6, 8]."""
    nodes = [
        node("Reshape", "x rows", "flat_in", name="rows"),
        node("MatMul", "flat_in wq", "q", name="query"),
        node("Reshape", "q split", "qh", name="split"),
        node("Transpose", "qh", "qt", perm=[0, 2, 1, 3]),
        node("Transpose", "qh", "kt", perm=[0, 2, 3, 1]),
        node("MatMul", "qt kt", "scores"),
        node("Softmax", "scores", "p", axis=-1),
        node("MatMul", "p qt", "ctx"),
        node("Transpose", "ctx", "back", perm=[0, 2, 1, 3]),
        node("Reshape", "back join", "flat", name="join"),
        node("Add", "flat x", "y"),
    ]
    weights = {
        "wq": weight(8, 8),
        "rows": dynamic.ints(batch * 6, 8),
        "split": dynamic.ints(batch, 6, 2, 4),
        "join": dynamic.ints(batch, -1, 8),
    }
    return save(path, graph(nodes, [("x", (batch, 6, 8))], [("y", (batch, 6, 8))], weights), opset=opset)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("opset", [11, 17, 24])
def test_hard_coded_reshapes_take_any_batch(batch: int, opset: int, tmp_path: Path) -> None:
    path = attention(tmp_path / "m.onnx", batch, opset)
    record = verified(ID, path)
    assert interface(record) == ([["batch", 6, 8]], [["batch", 6, 8]])
    assert {change.node for change in record.changes} == {"rows", "split", "join"}
    feeds = weight(6 * batch, 6, 8, seed=5)
    many = run(record.artifact.path, {"x": feeds})[0]
    ones = [run(path, {"x": feeds[i : i + batch]})[0] for i in range(0, len(feeds), batch)]
    np.testing.assert_allclose(many, np.concatenate(ones), rtol=1e-4, atol=1e-5)
    assert record.notes["compared at batch sizes"] == f"{2 * batch}, {3 * batch}"


@pytest.mark.parametrize("size", [3, 4])
def test_a_fixed_batch_becomes_another(size: int, tmp_path: Path) -> None:
    record = verified(ID, attention(tmp_path / "m.onnx"), size=size)
    assert interface(record) == ([[size, 6, 8]], [[size, 6, 8]])
    assert record.verification is not None
    assert record.verification.samples == 8
    assert record.notes["compared at batch sizes"] == str(size)


def test_a_dynamic_batch_is_fixed_and_shape_arithmetic_folded(tmp_path: Path) -> None:
    record = verified(ID, dynamic.encoder(tmp_path / "m.onnx"), size=2)
    assert interface(record)[0] == [[2, "seq", 8]]


@pytest.mark.parametrize("operator", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("size", [0, 3])
def test_initial_states_are_repeated(operator: str, size: int, tmp_path: Path) -> None:
    record = verified(ID, dynamic.recurrent(tmp_path / "m.onnx", operator), size=size)
    wanted = size or "batch"
    assert interface(record) == ([[5, wanted, 3]], [[5, 1, wanted, 4]])
    assert record.notes["compared at batch sizes"] == (str(size) if size else "2, 3")


def test_initial_states_that_differ_make_it_impossible(tmp_path: Path) -> None:
    path = dynamic.recurrent(tmp_path / "m.onnx", batch=2)
    verified(ID, path)
    proto = onnx.load(str(path))
    state = next(tensor for tensor in proto.graph.initializer if tensor.name == "h")
    state.CopyFrom(onnx.numpy_helper.from_array(weight(1, 2, 4), "h"))
    onnx.save(proto, str(path))
    with pytest.raises(PassError, match=r"'recurrent'.*differs from sample to sample"):
        once(ID, open_artifact(path), tmp_path / "out")


def test_zeros_made_by_constantofshape_are_repeated(tmp_path: Path) -> None:
    nodes = [
        node("ConstantOfShape", "dims", "h"),
        node("GRU", "x w r - - h", "y", name="recurrent", hidden_size=4),
    ]
    weights = {"w": weight(1, 12, 3), "r": weight(1, 12, 4), "dims": dynamic.ints(1, 2, 4)}
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (5, 2, 3))], [("y", (5, 1, 2, 4))], weights))
    assert interface(verified(ID, path, size=4))[1] == [[5, 1, 4, 4]]


def test_a_class_token_is_joined_to_every_sample(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "c", strides=[4, 4]),
        node("Reshape", "c flat", "f", name="patches"),
        node("Transpose", "f", "t", perm=[0, 2, 1]),
        node("Concat", "token t", "j", name="join", axis=1),
        node("Add", "j pos", "a"),
        node("Gather", "a zero", "y", axis=1),
    ]
    weights = {
        "w": weight(5, 3, 4, 4),
        "flat": dynamic.ints(1, 5, 4),
        "token": weight(1, 1, 5),
        "pos": weight(1, 5, 5),
        "zero": np.int64(0),
    }
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (1, 3, 8, 8))], [("y", (1, 5))], weights))
    for size in (0, 3):
        record = verified(ID, path, size=size)
        assert interface(record)[1] == [[size or "batch", 5]]


def test_expand_takes_any_batch(tmp_path: Path) -> None:
    nodes = [node("Expand", "x dims", "e", name="widen"), node("Relu", "e", "y")]
    path = save(
        tmp_path / "m.onnx", graph(nodes, [("x", (2, 1, 4))], [("y", (2, 3, 4))], {"dims": dynamic.ints(2, 3, 4)})
    )
    assert interface(verified(ID, path))[1] == [["batch", 3, 4]]


def test_samples_along_another_axis(tmp_path: Path) -> None:
    nodes = [node("Transpose", "x", "t", perm=[1, 0, 2]), node("Reshape", "t flat", "y", name="flat")]
    weights = {"flat": dynamic.ints(1, 20)}
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (5, 1, 4))], [("y", (1, 20))], weights))
    assert interface(verified(ID, path, axes=("x:1",))) == ([[5, "batch", 4]], [["batch", 20]])


@pytest.mark.parametrize(
    ("nodes", "weights", "named"),
    [
        ([node("Squeeze", "x axes", "s", name="drop"), node("Relu", "s", "y")], {"axes": dynamic.ints(0)}, "drop"),
        ([node("ReduceMean", "x", "y", name="mean", axes=[0], keepdims=0)], {}, "mean"),
        ([node("Reshape", "x flat", "y", name="mix")], {"flat": dynamic.ints(3, 4)}, None),
        ([node("Gather", "x zero", "y", name="first", axis=0)], {"zero": np.int64(0)}, "first"),
    ],
)
def test_the_node_that_makes_it_impossible_is_named(
    nodes: Any, weights: Any, named: str | None, tmp_path: Path
) -> None:
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (1, 3, 4))], [("y", (3, 4))], weights))
    if named is None:  # the samples lie along the first axis of the result, of which each has three
        record = verified(ID, path)
        assert run(record.artifact.path, {"x": weight(2, 3, 4)})[0].shape == (6, 4)
        return
    with pytest.raises(PassError, match=f"'{named}'"):
        once(ID, open_artifact(path), tmp_path / "out")


def test_samples_that_depend_on_each_other_are_found(tmp_path: Path) -> None:
    nodes = [node("Softmax", "x", "s", axis=0), node("Relu", "s", "y")]
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (1, 4))], [("y", (1, 4))]))
    with pytest.raises(PassError, match="'y' depends on the others"):
        verified(ID, path)


def test_subgraphs(tmp_path: Path) -> None:
    def branch(name: str, operator: str) -> onnx.GraphProto:
        nodes = [node("Reshape", "x rows", f"{name}r", name=f"{name}_rows"), node(operator, f"{name}r", name)]
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(name, FLOAT, None)])

    one = node("If", "c", "q", name="if", then_branch=branch("t", "Relu"), else_branch=branch("e", "Neg"))
    nodes = [one, node("Exp", "q", "y")]
    main = graph(
        nodes,
        [("x", (1, 3, 4)), ("c", (), onnx.TensorProto.BOOL)],
        [("y", (1, 12))],
        {"rows": dynamic.ints(1, 12)},
    )
    record = verified(ID, save(tmp_path / "m.onnx", main))
    assert interface(record)[1] == [["batch", 12]]


def test_a_loop(tmp_path: Path) -> None:
    path = dynamic.looping(tmp_path / "m.onnx")
    record = verified(ID, path, size=3)
    assert interface(record) == ([[3, 4]], [[3, 4]])
    fixed = verified(ID, record.artifact.path)
    assert interface(fixed)[0] == [["batch", 4]]


@pytest.mark.parametrize("name", ["light_squeezenet", "light_shufflenet", "light_inception_v2"])
def test_real_graphs(name: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes((dynamic.LIGHT / f"{name}.onnx").read_bytes())
    result = once(ID, open_artifact(path), tmp_path / "out")
    proto = onnx.load(str(result.artifact.path))
    onnx.checker.check_model(proto, full_check=True)
    assert shape_of(proto.graph.input[0])[0] == shape_of(proto.graph.output[0])[0] == "batch"


def test_the_sample(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(dynamic.SAMPLE.read_bytes())
    fixed = verified(ID, path, size=4)
    assert interface(fixed)[0][0][0] == 4
    assert interface(verified(ID, fixed.artifact.path, name="n"))[0][0][0] == "n"


def test_nothing_to_do_bad_axes_and_no_scope(tmp_path: Path) -> None:
    path = attention(tmp_path / "m.onnx")
    assert once(ID, open_artifact(path), tmp_path / "same", size=1).warnings == ("The batch is of that size already.",)
    assert not survey(ID, dynamic.encoder(tmp_path / "d.onnx")).applies
    assert survey(ID, path).applies
    for axes, said in ((("y:0",), "Did you mean|Known"), (("x:9",), "no axis 9"), (("x:b",), "not INPUT:AXIS")):
        with pytest.raises(PassError) as caught:
            once(ID, open_artifact(path), tmp_path / axes[0].replace(":", ""), axes=axes)
        assert any(part in str(caught.value) for part in said.split("|"))
    with pytest.raises(PassError, match="scope"):
        once(ID, open_artifact(path), tmp_path / "scope", Scope(names=("rows",)))
