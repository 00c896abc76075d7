"""Freezing of dynamic dimensions, on models as exporters write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from studio.api import PassError, Scope, open_artifact
from tests.passes.graph import dynamic
from tests.passes.graph.harness import graph, node, once, operators, run, save, survey, verified, weight

ID = "graph.freeze-shapes"


def shape_of(value: onnx.ValueInfoProto) -> list[int | str]:
    return [dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize("opset", [11, 13, 17, 21, 24])
def test_shape_arithmetic_becomes_constant(tmp_path: Path, opset: int) -> None:
    path = dynamic.encoder(tmp_path / "m.onnx", opset)
    result = once(ID, open_artifact(path), tmp_path / "out", dims=("batch=2", "seq=6"))
    proto = onnx.load(str(result.artifact.path))
    assert not {"Shape", "Gather", "Concat", "Unsqueeze"} & set(operators(proto))
    assert shape_of(proto.graph.input[0]) == shape_of(proto.graph.output[0]) == [2, 6, 8]
    assert result.notes["frozen"] == "batch=2, seq=6"
    feeds = {"x": weight(2, 6, 8, seed=3)}
    np.testing.assert_allclose(run(result.artifact.path, feeds)[0], run(path, feeds)[0], rtol=1e-5, atol=1e-6)


def test_one_of_two_dimensions(tmp_path: Path) -> None:
    record = verified(ID, dynamic.encoder(tmp_path / "m.onnx"), dims=("seq=6",))
    proto = onnx.load(str(record.artifact.path))
    assert shape_of(proto.graph.input[0]) == ["batch", 6, 8]
    assert record.verification is not None
    assert record.verification.samples == 8


def test_sides_without_a_name(tmp_path: Path) -> None:
    record = verified(ID, dynamic.detector(tmp_path / "m.onnx"), dims=("batch=1", "x:2=32", "x:3=48"))
    proto = onnx.load(str(record.artifact.path))
    assert operators(proto) == ["Conv", "Relu", "Conv", "Resize", "Concat", "Conv", "Sigmoid"]
    assert shape_of(proto.graph.output[0]) == [1, 1, 16, 24]
    inner = {value.name: shape_of(value) for value in proto.graph.value_info}
    assert inner["up"] == [1, 4, 16, 24]


def test_an_axis_of_a_named_dimension_stands_for_the_name_and_others_for_the_rest(tmp_path: Path) -> None:
    record = verified(ID, dynamic.encoder(tmp_path / "m.onnx"), dims=("x:1=5",), others=3)
    assert record.notes["frozen"] == "seq=5, batch=3"


@pytest.mark.parametrize("build", [dynamic.conditional, dynamic.looping])
def test_subgraphs(build: object, tmp_path: Path) -> None:
    assert callable(build)
    record = verified(ID, build(tmp_path / "m.onnx"), dims=("n=3",))
    folded = [change.operator for change in record.changes if change.change == "removed"]
    assert "Shape" in folded
    assert record.verification is not None


def test_a_recurrent_layer(tmp_path: Path) -> None:
    record = verified(ID, dynamic.recurrent(tmp_path / "m.onnx", batch="batch"), dims=("batch=2",))
    assert shape_of(onnx.load(str(record.artifact.path)).graph.output[0]) == [5, 1, 2, 4]


def test_the_sample(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(dynamic.SAMPLE.read_bytes())
    first = onnx.load(str(path)).graph.input[0]
    record = verified(ID, path, dims=(f"{first.name}:0=4",))
    assert shape_of(onnx.load(str(record.artifact.path)).graph.input[0])[0] == 4


def test_sums_of_names_are_computed(tmp_path: Path) -> None:
    main = graph(
        [node("Concat", "past x", "y", axis=1)],
        [("past", ("b", "p", 4)), ("x", ("b", "s", 4))],
        [("y", ("b", "p + s", 4))],
    )
    result = once(ID, open_artifact(save(tmp_path / "m.onnx", main)), tmp_path / "out", dims=("p=3", "s=1"))
    assert shape_of(onnx.load(str(result.artifact.path)).graph.output[0]) == ["b", 4, 4]


def test_a_contradiction_is_refused_with_the_node(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "r", name="fine"), node("MatMul", "r w", "y", name="product")]
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", ("n", "k"))], [("y", ("n", 5))], {"w": weight(4, 5)}))
    with pytest.raises(PassError, match=r"k=3 contradicts the node 'product'"):
        once(ID, open_artifact(path), tmp_path / "out", dims=("k=3",))
    once(ID, open_artifact(path), tmp_path / "again", dims=("k=4",))


@pytest.mark.parametrize(
    ("dims", "said"),
    [
        (("sec=3",), "Did you mean 'seq'"),
        (("seq",), "'seq' is not the size"),
        (("seq=0",), "'seq=0' is not the size"),
        (("seq=3", "x:1=4"), "both 3 and 4"),
        (("x:2=9",), "both 8 and 9"),
        (("x:7=9",), "'x:7'"),
    ],
)
def test_bad_sizes_are_explained(tmp_path: Path, dims: tuple[str, ...], said: str) -> None:
    with pytest.raises(PassError) as caught:
        once(ID, open_artifact(dynamic.encoder(tmp_path / "m.onnx")), tmp_path / "out", dims=dims)
    assert said in str(caught.value)
    assert caught.value.hint


def test_nothing_to_do_is_said(tmp_path: Path) -> None:
    path = dynamic.encoder(tmp_path / "m.onnx")
    assert "batch, seq" in survey(ID, path).why_not
    result = once(ID, open_artifact(path), tmp_path / "out")
    assert result.artifact == open_artifact(path)
    assert result.warnings
    fixed = dynamic.encoder(tmp_path / "f.onnx", batch=1, seq=2)
    assert "fixed already" in survey(ID, fixed, others=4).why_not


def test_a_survey_counts_and_leaves_the_model_alone(tmp_path: Path) -> None:
    found = survey(ID, dynamic.encoder(tmp_path / "m.onnx"), dims=("batch=2", "seq=6"))
    assert found.applies
    assert found.summary.startswith("batch=2, seq=6: ")
    assert len(found.nodes) == 7


def test_without_folding_or_outside_the_scope_the_nodes_stay(tmp_path: Path) -> None:
    path = dynamic.encoder(tmp_path / "m.onnx")
    count = len(onnx.load(str(path)).graph.node)
    record = verified(ID, path, dims=("batch=2", "seq=6"), fold=False)
    assert record.nodes == count
    assert not record.changes
    record = verified(ID, path, Scope(operators=("Neg",)), dims=("batch=2", "seq=6"))
    assert record.nodes == count


def test_placeholders_and_negative_sizes_are_dimensions_without_a_name(tmp_path: Path) -> None:
    main = graph([node("Relu", "x", "y")], [("x", (-1, 3, "?", "?"))], [("y", (-1, 3, "?", "?"))])
    onnx.save(helper.make_model(main, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    record = verified(ID, tmp_path / "m.onnx", dims=("x:0=2", "x:2=5", "x:3=7"))
    proto = onnx.load(str(record.artifact.path))
    assert shape_of(proto.graph.input[0]) == shape_of(proto.graph.output[0]) == [2, 3, 5, 7]
