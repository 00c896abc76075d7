"""Conversion to other operator sets, with subgraphs, functions and other domains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from studio.api import PassError, Scope, open_artifact
from tests import models
from tests.passes.graph import dynamic
from tests.passes.graph.harness import (
    FLOAT,
    Value,
    apply,
    graph,
    node,
    once,
    operators,
    run,
    save,
    survey,
    verified,
    weight,
)

ID = "graph.convert-opset"
X = {"x": weight(2, 3, seed=1)}


def opset_of(path: Path) -> int:
    return next(entry.version for entry in onnx.load(str(path)).opset_import if not entry.domain)


@pytest.mark.parametrize("start", [11, 13, 17])
@pytest.mark.parametrize("end", [18, 21, 24])
def test_upwards(tmp_path: Path, start: int, end: int) -> None:
    path = dynamic.encoder(tmp_path / "m.onnx", start)
    record = verified(ID, path, opset=end)
    assert record.verification is not None
    assert record.verification.sqnr_db is None or record.verification.sqnr_db > 100
    assert opset_of(record.artifact.path) == end
    proto = onnx.load(str(record.artifact.path))
    assert proto.ir_version >= helper.find_min_ir_version_for([helper.make_opsetid("", end)])


def test_downwards(tmp_path: Path) -> None:
    nodes = [node("Constant", "", "k", value_float=2.0), node("Mul", "x k", "m"), node("Relu", "m", "y")]
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (2, 3))], [("y", (2, 3))]), opset=13)
    record = verified(ID, path, opset=12)
    assert opset_of(record.artifact.path) == 12
    assert operators(onnx.load(str(record.artifact.path))) == ["Mul", "Relu"]


def test_what_cannot_be_converted_is_named(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "r"), node("HardSwish", "r", "y", name="activation")]
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (2, 3))], [("y", (2, 3))]), opset=17)
    with pytest.raises(PassError, match="HardSwish cannot be converted to operator set 13") as caught:
        once(ID, open_artifact(path), tmp_path / "out", opset=13)
    assert caught.value.hint
    softmax = graph([node("Softmax", "x", "y", axis=1)], [("x", (2, 3, 4))], [("y", (2, 3, 4))])
    with pytest.raises(PassError, match="'Softmax:y' over axis 1"):
        once(ID, open_artifact(save(tmp_path / "s.onnx", softmax, opset=13)), tmp_path / "softmax", opset=12)


@pytest.mark.parametrize("attributes", [{}, {"axis": -1}, {"axis": 2}])
@pytest.mark.parametrize(("start", "end"), [(13, 11), (11, 13), (17, 12)])
def test_softmax_keeps_its_axis(tmp_path: Path, attributes: dict[str, int], start: int, end: int) -> None:
    main = graph([node("Softmax", "x", "y", **attributes)], [("x", (2, 3, 4))], [("y", (2, 3, 4))])
    record = verified(ID, save(tmp_path / "m.onnx", main, opset=start), opset=end)
    assert record.verification is not None
    assert record.verification.max_abs_error is not None
    assert record.verification.max_abs_error < 1e-6


def test_branches_are_converted_and_their_new_names_are_their_own(tmp_path: Path) -> None:
    def branch(name: str, operator: str) -> onnx.GraphProto:
        nodes = [node("Unsqueeze", "x", f"{name}u", axes=[0]), node(operator, f"{name}u", name, axes=[0], keepdims=0)]
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(name, FLOAT, [2, 3])])

    one = node("If", "c", "y", then_branch=branch("t", "ReduceSum"), else_branch=branch("e", "ReduceMax"))
    outer = node("Squeeze", "q", "z", axes=[0])
    inputs: list[Value] = [("x", (2, 3)), ("c", (), onnx.TensorProto.BOOL), ("q", (1, 3))]
    path = save(tmp_path / "m.onnx", graph([one, outer], inputs, [("y", (2, 3)), ("z", (3,))]), opset=11)
    for flag in (True, False):
        feeds = {**X, "c": np.asarray(flag), "q": weight(1, 3)}
        result = once(ID, open_artifact(path), tmp_path / str(flag), opset=18)
        for mine, theirs in zip(run(result.artifact.path, feeds), run(path, feeds), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-6)
    record = verified(ID, path, opset=21)
    names = [name for one in record.changes for name in [one.node]]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("opset", [18, 23])
@pytest.mark.parametrize("build", [dynamic.looping, dynamic.recurrent])
def test_loops_and_recurrent_layers(tmp_path: Path, build: Any, opset: int) -> None:
    record = verified(ID, build(tmp_path / "m.onnx"), opset=opset)
    assert opset_of(record.artifact.path) == opset


def test_functions_are_written_out(tmp_path: Path) -> None:
    own = [helper.make_opsetid("", 11)]
    function = helper.make_function("local", "Row", ["a"], ["r"], [node("Unsqueeze", "a", "r", axes=[0])], own)
    nodes = [node("Row", "x", "f", domain="local"), node("Relu", "f", "y")]
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (2, 3))], [("y", (1, 2, 3))]), opset=11, functions=[function])
    result, proto = apply(ID, path, X, opset=17)
    assert not proto.functions
    assert operators(proto) == ["Constant", "Unsqueeze", "Relu"]
    assert any("function" in warning for warning in result.warnings)


def test_operators_of_other_domains_stay(tmp_path: Path) -> None:
    nodes = [
        node("Relu", "x", "r"),
        node("Gelu", "r", "g", domain="com.microsoft"),
        node("Squeeze", "g", "y", axes=[0]),
    ]
    main = graph(nodes, [("x", (1, 2, 3))], [("y", (2, 3))])
    opsets = [helper.make_opsetid("", 11), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(main, opset_imports=opsets, ir_version=8), str(tmp_path / "m.onnx"))
    record = verified(ID, tmp_path / "m.onnx", opset=20)
    proto = onnx.load(str(record.artifact.path))
    assert {entry.domain: entry.version for entry in proto.opset_import} == {"": 20, "com.microsoft": 1}
    assert operators(proto) == ["Relu", "Gelu", "Constant", "Squeeze"]


def test_tensors_of_unknown_rank_do_not_become_scalars(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    nodes = [node("Gelu", "x", "g", domain="com.microsoft"), node("Relu", "g", "y")]
    main = graph(nodes, [("x", (2, 3))], [("y", (2, 3))])
    opsets = [helper.make_opsetid("", 11), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(main, opset_imports=opsets, ir_version=8), str(path))
    record = verified(ID, path, opset=17)
    inner = {value.name: value.type.tensor_type for value in onnx.load(str(record.artifact.path)).graph.value_info}
    assert "g" not in inner or not inner["g"].HasField("shape")


def test_weights_are_not_read_and_large_constants_become_weights(tmp_path: Path) -> None:
    large = weight(64, 64)
    constant = helper.make_node("Constant", [], ["k"], value=onnx.numpy_helper.from_array(large))
    nodes = [constant, node("MatMul", "x k", "m"), node("MatMul", "m w", "y")]
    main = graph(nodes, [("x", (2, 64))], [("y", (2, 64))], {"w": weight(64, 64, seed=2)})
    _, proto = apply(ID, save(tmp_path / "m.onnx", main), {"x": weight(2, 64)}, opset=21)
    assert {tensor.name for tensor in proto.graph.initializer} == {"k", "w"}


def test_external_weights(tmp_path: Path) -> None:
    path = models.save_external(models.cnn(), tmp_path / "m.onnx")
    record = verified(ID, path, opset=21)
    assert record.verification is not None
    assert record.verification.identical


def test_downwards_operators_that_differ_in_types_alone_stay(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(dynamic.SAMPLE.read_bytes())
    with pytest.raises(PassError, match="Dropout") as caught:
        once(ID, open_artifact(path), tmp_path / "out", opset=11)
    assert "graph.clean" in caught.value.hint
    record = verified(ID, path, opset=13)
    assert opset_of(record.artifact.path) == 13
    assert record.verification is not None
    assert record.verification.identical


@pytest.mark.parametrize("name", ["light_squeezenet", "light_densenet121", "light_inception_v2"])
@pytest.mark.parametrize("opset", [13, 21])
def test_real_graphs(name: str, opset: int, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes((dynamic.LIGHT / f"{name}.onnx").read_bytes())
    result = once(ID, open_artifact(path), tmp_path / "out", opset=opset)
    onnx.checker.check_model(str(result.artifact.path), full_check=True)
    assert opset_of(result.artifact.path) == opset


def test_the_sample(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(dynamic.SAMPLE.read_bytes())
    record = verified(ID, path, opset=21)
    assert record.verification is not None
    assert record.verification.identical


def test_nothing_to_do_and_no_scope(tmp_path: Path) -> None:
    path = dynamic.encoder(tmp_path / "m.onnx", 21)
    assert "already" in survey(ID, path).why_not
    with pytest.raises(PassError, match="scope"):
        once(ID, open_artifact(path), tmp_path / "out", Scope(names=("query",)), opset=17)
