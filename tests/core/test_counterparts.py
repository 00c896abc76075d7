from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from studio.core.artifact import Artifact, open_artifact
from studio.core.counterparts import Kind, by_provenance, by_structure, mark
from studio.core.sparsity import zero_shares


def model(path: Path, layers: int, prefix: str, seed: int, *, skip: int = -1) -> Artifact:
    """A chain of MatMul and Relu; `skip` leaves one Relu out."""
    rng = np.random.default_rng(seed)
    nodes, weights, last = [], [], "x"
    for at in range(layers):
        weights.append(numpy_helper.from_array(rng.normal(size=(8, 8)).astype(np.float32), f"{prefix}w{at}"))
        nodes.append(helper.make_node("MatMul", [last, f"{prefix}w{at}"], [f"{prefix}m{at}"], f"{prefix}MatMul_{at}"))
        last = f"{prefix}m{at}"
        if at != skip:
            nodes.append(helper.make_node("Relu", [last], [f"{prefix}r{at}"], f"{prefix}Relu_{at}"))
            last = f"{prefix}r{at}"
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8]) for name in ("x", last)]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return open_artifact(path)


def test_renamed_nodes_are_found_by_their_weights(tmp_path: Path) -> None:
    first, second = model(tmp_path / "a.onnx", 4, "", 0), model(tmp_path / "b.onnx", 4, "other/", 0, skip=1)
    found = by_structure(first, second)
    assert found.by == "structure"
    assert found.pairs == {
        "other/MatMul_0": ("MatMul_0",),
        "other/Relu_0": ("Relu_0",),
        "other/MatMul_1": ("MatMul_1",),
        "other/MatMul_2": ("MatMul_2",),
        "other/Relu_2": ("Relu_2",),
        "other/MatMul_3": ("MatMul_3",),
        "other/Relu_3": ("Relu_3",),
    }


def test_other_weights_are_aligned_by_structure(tmp_path: Path) -> None:
    first, second = model(tmp_path / "a.onnx", 5, "", 0), model(tmp_path / "b.onnx", 5, "other/", 1, skip=4)
    found = by_structure(first, second)
    assert found.pairs["other/MatMul_4"] == ("MatMul_4",)
    assert len(found.pairs) == 9


def test_what_became_of_nodes_is_said() -> None:
    first = {"conv": Kind("Conv", "float32"), "bn": Kind("BatchNormalization", "float32")} | {
        name: Kind("Relu", "float32") for name in ("relu", "gone", "half")
    }
    second = {
        "conv": Kind("Conv", "float32"),
        "q": Kind("QuantizeLinear", "uint8"),
        "dq": Kind("DequantizeLinear", "float32"),
        "relu": Kind("Clip", "float32"),
        "half": Kind("Relu", "float16"),
    }
    origins = {
        "conv": ("conv", "bn"),
        "q": ("conv",),
        "dq": ("conv",),
        "relu": ("relu",),
        "half": ("half",),
    }
    pairs = by_provenance(first, second, None, origins).pairs
    marks = mark(first, second, pairs)
    assert marks.second == {"conv": "fused", "q": "added", "dq": "added", "relu": "rewritten", "half": "re-typed"}
    assert marks.first == {"conv": "fused", "bn": "fused", "relu": "rewritten", "gone": "removed", "half": "re-typed"}
    assert marks.main == {"conv": "conv", "bn": "conv", "relu": "relu", "half": "half"}


def test_two_variants_are_matched_through_the_baseline() -> None:
    left = {"fused": ("conv", "relu"), "tail": ("add",)}
    right = {"c": ("conv",), "r": ("relu",), "new": ()}
    assert by_provenance(left, right, left, right).pairs == {"c": ("fused",), "r": ("fused",), "new": ()}


def test_zeros_of_plain_and_quantized_weights(tmp_path: Path) -> None:
    plain = np.ones((4, 4), np.float32)
    plain[0] = 0
    codes = np.full((4, 4), 7, np.uint8)
    codes[:, 1] = 3  # the zero point of that column
    arrays: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]] = {
        "w": plain,
        "codes": codes,
        "scale": np.ones(4, np.float32),
        "points": np.array([9, 3, 9, 9], np.uint8),
        "bias": np.zeros(4, np.float32),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["codes", "scale", "points"], ["d"], "dq", axis=1),
        helper.make_node("Gemm", ["x", "w", "bias"], ["h"], "gemm"),
        helper.make_node("MatMul", ["h", "d"], ["y"], "matmul"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    held = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "zeros", ends[:1], ends[1:], held)
    path = tmp_path / "zeros.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    assert zero_shares(open_artifact(path)) == {"gemm": 0.25, "matmul": 0.25}
