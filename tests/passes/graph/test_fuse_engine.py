"""Fusion by ONNX Runtime's offline optimization, and the passes on the bundled sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from studio.api import PassError, Scope, open_artifact
from tests.passes.graph.harness import ROOT, apply, graph, node, once, operators, save, survey, weight

SAMPLE = ROOT / "assets" / "samples" / "mnist-resnet.onnx"


def conv_relu(tmp_path: Path) -> Path:
    nodes = [node("Conv", "x w", "h"), node("Relu", "h", "r"), node("Conv", "r v", "s"), node("Relu", "s", "y")]
    weights = {"w": weight(4, 3, 3, 3), "v": weight(4, 4, 3, 3)}
    return save(tmp_path / "m.onnx", graph(nodes, [("x", ("batch", 3, 9, 9))], [("y", None)], weights))


def test_its_own_operators_are_made_and_said(tmp_path: Path) -> None:
    result, proto = apply("graph.fuse", conv_relu(tmp_path), {"x": weight(2, 3, 9, 9)}, engine="onnxruntime")
    assert operators(proto) == ["FusedConv", "FusedConv"]
    assert any("com.microsoft" in text and "FusedConv" in text for text in result.warnings)
    assert {change.change for change in result.changes} >= {"removed"}
    assert {one.domain for one in proto.opset_import} == {"", "com.microsoft"}
    assert {file.name for file in result.artifact.path.parent.iterdir()} == {"model.onnx"}


@pytest.mark.parametrize(("opset", "fused"), [(13, False), (17, True)])
def test_only_operators_that_the_operator_set_has_are_made(tmp_path: Path, opset: int, fused: bool) -> None:
    nodes = [
        node("ReduceMean", "x", "m", axes=[-1]),
        node("Sub", "x m", "d"),
        node("Pow", "d two", "sq"),
        node("ReduceMean", "sq", "v", axes=[-1]),
        node("Add", "v eps", "ve"),
        node("Sqrt", "ve", "root"),
        node("Div", "d root", "n"),
        node("Mul", "n scale", "ns"),
        node("Add", "ns bias", "h"),
        node("MatMul", "h w", "t"),
        node("Erf", "t", "y"),
    ]
    weights = {"two": np.float32(2), "eps": np.float32(1e-5), "scale": weight(8), "bias": weight(8, seed=1)}
    main = graph(nodes, [("x", (2, 5, 8))], [("y", None)], {**weights, "w": weight(8, 4)})
    path = save(tmp_path / "m.onnx", main, opset=opset)
    _, proto = apply("graph.fuse", path, {"x": weight(2, 5, 8)}, engine="onnxruntime")
    assert ("LayerNormalization" in operators(proto)) is fused


def test_it_refuses_a_scope(tmp_path: Path) -> None:
    path, scope = conv_relu(tmp_path), Scope(operators=("Conv",))
    assert not survey("graph.fuse", path, scope, engine="onnxruntime").applies
    with pytest.raises(PassError, match="whole model"):
        once("graph.fuse", open_artifact(path), tmp_path / "result", scope, engine="onnxruntime")


def test_quantized_models_stay_in_the_portable_format(tmp_path: Path) -> None:
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("DequantizeLinear", "w sw", "dw"),
        node("Conv", "d dw", "h"),
        node("QuantizeLinear", "h s z", "qh"),
        node("DequantizeLinear", "qh s z", "y"),
    ]
    weights: dict[str, Any] = {"s": np.float32(0.1), "z": np.uint8(128), "sw": np.float32(0.01)}
    weights["w"] = (weight(4, 3, 3, 3) * 40).astype(np.int8)
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (1, 3, 9, 9))], [("y", None)], weights))
    result = once("graph.fuse", open_artifact(path), tmp_path / "result", engine="onnxruntime")
    assert "QLinearConv" not in operators(onnx.load(str(result.artifact.path)))


def test_a_model_that_it_cannot_load_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    main = graph([node("Unknown", "x", "y", domain="nowhere")], [("x", (2,))], [("y", (2,))])
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("nowhere", 1)]
    onnx.save(onnx.helper.make_model(main, opset_imports=opsets, ir_version=8), str(path))
    with pytest.raises(PassError, match="cannot load"):
        once("graph.fuse", open_artifact(path), tmp_path / "result", engine="onnxruntime")


@pytest.mark.parametrize("pass_id", ["graph.clean", "graph.fold-batchnorm", "graph.fuse"])
def test_the_bundled_sample_keeps_what_it_computes(tmp_path: Path, pass_id: str) -> None:
    path = tmp_path / "sample.onnx"
    path.write_bytes(SAMPLE.read_bytes())
    apply(pass_id, path, {"image": weight(3, 1, 28, 28)})


def test_all_three_in_a_row_leave_no_batch_normalization(tmp_path: Path) -> None:
    nodes: list[onnx.NodeProto] = []
    weights: dict[str, Any] = {}
    value = "x"
    for index in range(3):
        nodes += [node("Conv", f"{value} w{index}", f"c{index}", name=f"conv{index}")]
        nodes += [node("Identity", f"c{index}", f"i{index}")]
        nodes += [node("BatchNormalization", f"i{index} {' '.join(f'{p}{index}' for p in 'gbmv')}", f"n{index}")]
        nodes += [node("Relu", f"n{index}", f"r{index}"), node("Relu", f"r{index}", f"o{index}")]
        weights |= {f"w{index}": weight(3, 3, 1, 1, seed=index)}
        weights |= {f"{p}{index}": np.abs(weight(3, seed=ord(p))) + np.float32(0.5) for p in "gbmv"}
        value = f"o{index}"
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", ("batch", 3, 5, 5))], [(value, None)], weights))
    for number, pass_id in enumerate(("graph.clean", "graph.fold-batchnorm", "graph.fuse")):
        result, _ = apply(pass_id, path, {"x": weight(2, 3, 5, 5)})
        folder = tmp_path / str(number)
        folder.mkdir()
        path = result.artifact.path.rename(folder / "m.onnx")
    assert operators(onnx.load(str(path))) == ["Conv", "Relu"] * 3
