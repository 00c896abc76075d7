from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from studio.core.artifact import open_artifact
from studio.core.errors import ModelError
from studio.core.validity import check_artifact
from tests import models


def _check(proto: onnx.ModelProto, folder: Path) -> tuple[str, ...]:
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return check_artifact(open_artifact(path))


def test_valid_models_pass_without_warnings(tmp_path: Path) -> None:
    assert _check(models.cnn(), tmp_path) == ()
    assert _check(models.branching(), tmp_path) == ()


def test_dangling_input_names_tensor_and_node(tmp_path: Path) -> None:
    proto = models.mlp()
    proto.graph.node[1].input[0] = "nowhere"
    with pytest.raises(ModelError, match=r"'nowhere' of node 'relu'"):
        _check(proto, tmp_path)


def test_cycle_names_a_node_on_it(tmp_path: Path) -> None:
    proto = models.mlp()
    proto.graph.node[0].input[0] = "r"
    with pytest.raises(ModelError, match=r"cycle through node '(fc1|relu)'"):
        _check(proto, tmp_path)


def test_cycle_through_a_subgraph(tmp_path: Path) -> None:
    proto = models.branching()
    proto.graph.node[1].input[0] = "y"
    with pytest.raises(ModelError, match="cycle"):
        _check(proto, tmp_path)


def test_unknown_operator_is_named(tmp_path: Path) -> None:
    proto = models.mlp()
    proto.graph.node[1].op_type = "Rellu"
    with pytest.raises(ModelError, match="Rellu"):
        _check(proto, tmp_path)


def test_domain_without_import_is_named(tmp_path: Path) -> None:
    proto = models.mlp()
    proto.graph.node[1].domain = "com.nobody"
    with pytest.raises(ModelError, match=r"com\.nobody"):
        _check(proto, tmp_path)


def test_opset_of_the_future(tmp_path: Path) -> None:
    proto = models.mlp()
    proto.opset_import[0].version = 999
    with pytest.raises(ModelError, match="opset 999") as caught:
        _check(proto, tmp_path)
    assert str(onnx.defs.onnx_opset_version()) in caught.value.hint


def test_ir_version_of_the_future(tmp_path: Path) -> None:
    proto = models.mlp()
    proto.ir_version = 99
    with pytest.raises(ModelError, match="IR version 99"):
        _check(proto, tmp_path)


def test_duplicate_tensor_name(tmp_path: Path) -> None:
    proto = models.mlp()
    proto.graph.node[1].output[0] = "h"
    proto.graph.node[2].input[0] = "h"
    with pytest.raises(ModelError, match="'h'"):
        _check(proto, tmp_path)


def test_no_outputs(tmp_path: Path) -> None:
    proto = models.mlp()
    del proto.graph.output[:]
    with pytest.raises(ModelError, match="no outputs"):
        _check(proto, tmp_path)


def test_duplicate_node_names_are_a_warning(tmp_path: Path) -> None:
    proto = models.mlp()
    proto.graph.node[0].name = proto.graph.node[2].name
    assert any("more than once" in warning for warning in _check(proto, tmp_path))


def test_contradicting_shape_is_a_warning(tmp_path: Path) -> None:
    proto = models.mlp()
    proto.graph.value_info.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, ["batch", 99]))
    assert any("contradiction" in warning for warning in _check(proto, tmp_path))
