"""Fusions into operators of ONNX Runtime's own, attention and RMSNormalization: on small models, on both engines."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from studio.api import open_artifact
from studio.core.place import Place
from studio.core.verification import refusal_text
from studio.core.verify import Check, order_places, verify
from studio.jobs.tasks.surroundings import generate
from tests.passes.graph.harness import REGISTRY, apply, graph, node, operators, save, survey, verified, weight

Nodes = Sequence[onnx.NodeProto]
HEADS, SIZE, LENGTH = 2, 4, 5
WIDTH = HEADS * SIZE


def fuse(
    tmp_path: Path, nodes: Nodes, shapes: dict[str, Any], weights: dict[str, Any], opset: int = 17, **params: Any
) -> onnx.ModelProto:
    """Fuse with the harness's checks, then as a job does on every runtime here: each must load the result."""
    outputs = params.pop("outputs", [("y", None)])
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    path = save(folder / "m.onnx", graph(nodes, list(shapes.items()), outputs, weights), opset=opset, ir_version=10)
    feeds = {
        name: weight(*[size if isinstance(size, int) else 2 for size in shape], seed=place)
        for place, (name, shape) in enumerate(shapes.items())
    }
    params.setdefault("engine", "microsoft")
    record = verified("graph.fuse", path, samples=2, **params)
    if not record.unchanged:
        assert record.verification is not None
        assert [place.refused for place in record.verification.places] == ["", ""]
    return apply("graph.fuse", path, feeds, **params)[1]


CONV = {"w": weight(3, 3, 3, 3), "b": weight(3, seed=2)}
PADDED = {"pads": [1, 1, 1, 1]}
PICTURE = {"x": ("batch", 3, 6, 5)}


@pytest.mark.parametrize(
    ("activation", "weights"),
    [
        (node("Relu", "c", "y"), {}),
        (node("Sigmoid", "c", "y"), {}),
        (node("Tanh", "c", "y"), {}),
        (node("LeakyRelu", "c", "y", alpha=0.3), {}),
        (node("HardSigmoid", "c", "y", alpha=0.1), {}),
        (node("Clip", "c low high", "y"), {"low": np.float32(-0.5), "high": np.float32(0.75)}),
    ],
)
def test_conv_takes_its_activation(tmp_path: Path, activation: onnx.NodeProto, weights: dict[str, Any]) -> None:
    nodes = [node("Conv", "x w b", "c", **PADDED), activation]
    proto = fuse(tmp_path, nodes, PICTURE, {**CONV, **weights})
    assert operators(proto) == ["FusedConv"]
    assert {one.domain: one.version for one in proto.opset_import} == {"": 17, "com.microsoft": 1}


@pytest.mark.parametrize("bias", ["b", "-"])
def test_conv_takes_a_residual_and_its_activation(tmp_path: Path, bias: str) -> None:
    nodes = [node("Conv", f"x w {bias}".rstrip(" -"), "c", **PADDED), node("Add", "x c", "a"), node("Relu", "a", "y")]
    proto = fuse(tmp_path, nodes, PICTURE, CONV if bias == "b" else {"w": CONV["w"]})
    assert operators(proto) == ["FusedConv"]
    assert list(proto.graph.node[0].input) == ["x", "w", "b" if bias == "b" else "", "x"]


@pytest.mark.parametrize(
    ("nodes", "shapes"),
    [
        ([node("Conv", "x w", "c", **PADDED), node("Elu", "c", "y")], PICTURE),
        ([node("Conv", "x w", "c", **PADDED), node("Relu", "c", "r"), node("Add", "c r", "y")], PICTURE),
        (
            [node("Conv", "x w", "c", **PADDED), node("Add", "c z", "a"), node("Relu", "a", "y")],
            {**PICTURE, "z": (1, 3, 1, 5)},
        ),
    ],
)
def test_what_the_operator_cannot_do_stays(tmp_path: Path, nodes: Nodes, shapes: dict[str, Any]) -> None:
    assert len(fuse(tmp_path, nodes, shapes, {"w": CONV["w"]}).graph.node) == len(nodes)


@pytest.mark.parametrize(
    ("switch", "left"),
    [
        ("conv_add", ["Conv", "Add", "Relu", "FusedConv"]),
        ("conv_activation", ["FusedConv", "Conv", "Relu"]),
    ],
)
def test_each_has_a_switch(tmp_path: Path, switch: str, left: list[str]) -> None:
    nodes = [
        node("Conv", "x w", "c", **PADDED),
        node("Add", "c x", "a"),
        node("Relu", "a", "r"),
        node("Conv", "r w", "d", **PADDED),
        node("Relu", "d", "y"),
    ]
    assert operators(fuse(tmp_path, nodes, PICTURE, {"w": CONV["w"]}, **{switch: False})) == left
    portable = operators(fuse(tmp_path, nodes, PICTURE, {"w": CONV["w"]}, engine="portable"))
    assert portable == [one.op_type for one in nodes]


def test_a_survey_counts_each(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "c", **PADDED), node("Add", "c x", "a"), node("Relu", "a", "r")]
    nodes += [node("Conv", "r w", "d", **PADDED), node("Relu", "d", "y")]
    path = save(tmp_path / "m.onnx", graph(nodes, list(PICTURE.items()), [("y", None)], {"w": CONV["w"]}))
    found = survey("graph.fuse", path, engine="microsoft")
    assert found.summary == "1 Conv, Add and activation, 1 Conv and activation"
    assert any("com.microsoft" in text for text in found.warnings)


@pytest.mark.parametrize("shared", [False, True])
def test_residual_and_layer_normalization(tmp_path: Path, shared: bool) -> None:
    nodes = [
        node("Add", "x z", "a"),
        node("LayerNormalization", "a s b", "n" if shared else "y", axis=-1, epsilon=1e-4),
    ]
    nodes += [node("Mul", "n a", "y")] if shared else []
    shapes = {"x": ("batch", LENGTH, WIDTH), "z": ("batch", LENGTH, WIDTH)}
    weights = {"s": weight(WIDTH), "b": weight(WIDTH, seed=1)}
    proto = fuse(tmp_path, nodes, shapes, weights)
    assert operators(proto) == ["SkipLayerNormalization", *(["Mul"] if shared else [])]


def test_a_residual_that_broadcasts_stays(tmp_path: Path) -> None:
    nodes = [node("Add", "x z", "a"), node("LayerNormalization", "a s b", "y", axis=-1)]
    shapes = {"x": (2, LENGTH, WIDTH), "z": (1, LENGTH, WIDTH)}
    proto = fuse(tmp_path, nodes, shapes, {"s": weight(WIDTH), "b": weight(WIDTH, seed=1)})
    assert operators(proto) == ["Add", "LayerNormalization"]


@pytest.mark.parametrize(("opset", "bias"), [(17, True), (20, True), (17, False)])
def test_bias_and_gelu(tmp_path: Path, opset: int, bias: bool) -> None:
    nodes = [node("Add", "bias x", "a")] if bias else [node("Neg", "x", "a")]
    nodes += [node("Div", "a root", "d"), node("Erf", "d", "e"), node("Add", "e one", "f"), node("Mul", "a f", "g")]
    nodes += [node("Mul", "g half", "y")]
    weights: dict[str, Any] = {"root": np.float32(np.sqrt(2)), "one": np.float32(1), "half": np.float32(0.5)}
    weights |= {"bias": weight(WIDTH)} if bias else {}
    proto = fuse(tmp_path, nodes, {"x": ("batch", LENGTH, WIDTH)}, weights, opset)
    assert operators(proto) == (["BiasGelu"] if bias else ["Neg", "Gelu"])


def attention(mask: str, *, scaled: str = "after", key: str = "once") -> list[onnx.NodeProto]:
    """Give attention over ``x`` as exporters write it."""
    nodes = []
    for name in "qkv":
        nodes += [node("MatMul", f"x w{name}", f"m{name}"), node("Add", f"m{name} b{name}", f"a{name}")]
        nodes += [node("Reshape", f"a{name} split", f"r{name}")]
        if name != "k" or key == "twice":
            nodes += [node("Transpose", f"r{name}", f"t{name}", perm=[0, 2, 1, 3])]
    turned = ("tk", [0, 1, 3, 2]) if key == "twice" else ("rk", [0, 2, 3, 1])
    nodes += [node("Transpose", turned[0], "kt", perm=turned[1])]
    query, keys, scores = "tq", "kt", "s"
    if scaled == "before":
        nodes += [node("Mul", "tq fourth", "tq2"), node("Mul", "kt fourth", "kt2"), node("MatMul", "tq2 kt2", "s")]
    else:
        nodes += [node("MatMul", f"{query} {keys}", "s0"), node("Div", "s0 root", "s")]
    if mask:
        nodes += [node("Add", f"s {mask}", "masked")]
        scores = "masked"
    nodes += [node("Softmax", scores, "p", axis=-1), node("MatMul", "p tv", "h")]
    return [*nodes, node("Transpose", "h", "j", perm=[0, 2, 1, 3]), node("Reshape", "j join", "y")]


def attention_weights(scaled: str = "after") -> dict[str, Any]:
    found: dict[str, Any] = {f"w{name}": weight(WIDTH, WIDTH, seed=ord(name)) for name in "qkv"}
    found |= {f"b{name}": weight(WIDTH, seed=ord(name) + 1) for name in "qkv"}
    found |= {"split": np.asarray([0, 0, HEADS, SIZE]), "join": np.asarray([0, 0, WIDTH])}
    return found | ({"fourth": np.float32(SIZE**-0.25)} if scaled == "before" else {"root": np.float32(SIZE**0.5)})


@pytest.mark.parametrize(("opset", "operator"), [(17, "MultiHeadAttention"), (23, "Attention"), (24, "Attention")])
@pytest.mark.parametrize("mask", [(), ("batch", 1, 1, LENGTH), ("batch", 1, LENGTH, LENGTH)])
@pytest.mark.parametrize(("scaled", "key"), [("after", "once"), ("before", "twice")])
def test_attention_with_its_heads(
    tmp_path: Path, opset: int, operator: str, mask: tuple[Any, ...], scaled: str, key: str
) -> None:
    shapes: dict[str, Any] = {"x": ("batch", LENGTH, WIDTH)} | ({"mask": mask} if mask else {})
    nodes = attention("mask" if mask else "", scaled=scaled, key=key)
    proto = fuse(tmp_path, nodes, shapes, attention_weights(scaled), opset)
    done = operators(proto)
    assert done.count(operator) == 1
    assert not {"Softmax", "Transpose", "Reshape", "Div"} & set(done)
    made = next(one for one in proto.graph.node if one.op_type == operator)
    heads = {one.name: one.i for one in made.attribute if one.name.endswith("num_heads")}
    assert set(heads.values()) == {HEADS}


def test_attention_is_standard_or_not_at_all_by_default(tmp_path: Path) -> None:
    shapes = {"x": ("batch", LENGTH, WIDTH)}
    kept = fuse(tmp_path, attention(""), shapes, attention_weights(), 17, engine="portable")
    assert "Softmax" in operators(kept)
    made = fuse(tmp_path, attention(""), shapes, attention_weights(), 23, engine="portable")
    assert "Attention" in operators(made) and {one.domain for one in made.opset_import} == {""}
    off = fuse(tmp_path, attention(""), shapes, attention_weights(), 23, attention=False)
    assert "Softmax" in operators(off)


def test_attention_of_separate_heads(tmp_path: Path) -> None:
    nodes = [
        node("Transpose", "k", "kt", perm=[0, 1, 3, 2]),
        node("MatMul", "q kt", "s0"),
        node("Mul", "s0 scale", "s"),
        node("Softmax", "s", "p", axis=-1),
        node("MatMul", "p v", "y"),
    ]
    shapes = dict.fromkeys("qkv", (2, HEADS, LENGTH, SIZE))
    proto = fuse(tmp_path, nodes, shapes, {"scale": np.float32(0.3)}, 23, engine="portable")
    assert operators(proto) == ["Attention"]
    assert operators(fuse(tmp_path, nodes, shapes, {"scale": np.float32(-0.3)}, 23)) == [one.op_type for one in nodes]


@pytest.mark.parametrize("opset", [17, 23, 24])
def test_rms_normalization(tmp_path: Path, opset: int) -> None:
    nodes = [
        node("Pow", "x two", "sq"),
        node("ReduceMean", "sq axes", "v") if opset > 17 else node("ReduceMean", "sq", "v", axes=[-1]),
        node("Add", "v eps", "ve"),
        node("Sqrt", "ve", "root"),
        node("Reciprocal", "root", "inv"),
        node("Mul", "x inv", "n"),
        node("Mul", "scale n", "y"),
    ]
    weights: dict[str, Any] = {"two": np.float32(2), "eps": np.float32(1e-5), "scale": weight(WIDTH)}
    weights |= {"axes": np.asarray([-1])} if opset > 17 else {}
    proto = fuse(tmp_path, nodes, {"x": ("batch", LENGTH, WIDTH)}, weights, opset, engine="portable")
    assert operators(proto) == (["RMSNormalization"] if opset > 17 else [one.op_type for one in nodes])


def test_a_runtime_that_does_not_load_the_result_is_refused_by_name(tmp_path: Path) -> None:
    weights = {"w": weight(WIDTH, 3)}
    source = save(tmp_path / "m.onnx", graph([node("MatMul", "x w", "y")], [("x", (2, WIDTH))], [("y", None)], weights))
    proto = onnx.load(str(source))
    proto.graph.node[0].op_type, proto.graph.node[0].domain = "TransposeMatMul", "com.microsoft"
    proto.opset_import.add(domain="com.microsoft", version=1)
    onnx.save(proto, str(tmp_path / "own.onnx"))
    before, after = open_artifact(source), open_artifact(tmp_path / "own.onnx")
    found = tuple(Place(runtime, device) for runtime in REGISTRY.runtimes() for device in runtime.devices())
    check = Check(order_places(found, None), generate(before, 2, 1), tmp_path)
    verification = verify(before, after, check, exact=True)
    assert verification.runtime == "onnxruntime:CPU" and not verification.refused_on("onnxruntime:CPU")
    assert "TransposeMatMul" in verification.refused_on("openvino:CPU")
    text = refusal_text(verification, "graph.fuse", "openvino:CPU")
    assert text.startswith("openvino:CPU does not run it, as graph.fuse found")
    assert any("openvino:CPU" in warning for warning in verification.warnings)
