"""Preprocessing inside the model, and data that follows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from studio.api import InterfaceChange, PassError, Scope, TensorInfo, open_artifact
from studio.core.interface import changes_of
from studio.jobs.tasks.surroundings import data_for
from tests.passes.graph.harness import REGISTRY, ROOT, graph, node, once, operators, save, survey, verified, weight

SAMPLE = ROOT / "assets" / "samples" / "mnist-resnet.onnx"
EVAL = ROOT / "assets" / "samples" / "mnist-eval.npz"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NORMAL: dict[str, Any] = {"mean": tuple(map(str, MEAN)), "std": tuple(map(str, STD))}


def picture_model(path: Path, padding: int, *, group: int = 1, shape: tuple[Any, ...] = ("batch", 3, 9, 7)) -> Path:
    nodes = [node("Conv", "x w b", "c", name="conv", pads=[padding] * 4, group=group), node("Relu", "c", "y")]
    weights = {"w": weight(6, 3 // group, 3, 3), "b": weight(6, seed=4)}
    return save(path, graph(nodes, [("x", shape)], [("y", None)], weights))


def compute(path: Path, array: Any) -> Any:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: array})[0]


def pixels(*shape: int) -> Any:
    return np.random.default_rng(5).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("group", [1, 3])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("layout", ["keep", "nhwc"])
@pytest.mark.parametrize("dtype", ["uint8", "keep"])
def test_pixels_give_what_prepared_pictures_gave(
    tmp_path: Path, padding: int, group: int, reverse: bool, layout: str, dtype: str
) -> None:
    path = picture_model(tmp_path / "m.onnx", padding, group=group)
    params: dict[str, Any] = {**NORMAL, "reverse": reverse, "layout": layout, "dtype": dtype}
    result = once("graph.fold-preprocessing", open_artifact(path), tmp_path / "out", **params)
    raw = pixels(2, 3, 9, 7)
    prepared = (raw / 255 - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
    fed = raw[:, ::-1] if reverse else raw
    fed = fed.transpose(0, 2, 3, 1) if layout == "nhwc" else fed
    fed = np.ascontiguousarray(fed) if dtype == "uint8" else np.ascontiguousarray(fed).astype(np.float32)
    np.testing.assert_allclose(
        compute(result.artifact.path, fed), compute(path, prepared.astype(np.float32)), rtol=1e-3, atol=1e-4
    )
    done = operators(onnx.load(str(result.artifact.path)))
    assert ("Add" in done) is bool(padding)
    assert "Mul" not in done
    assert ("Gather" in done) is (reverse and group == 3)


def test_a_step_is_verified_on_pixels_that_both_can_be_given(tmp_path: Path) -> None:
    record = verified("graph.fold-preprocessing", picture_model(tmp_path / "m.onnx", 1), layout="nhwc", **NORMAL)
    assert record.verification is not None and (record.verification.sqnr_db or 999) > 80
    (change,) = changes_of(record.artifact)
    assert change.after.dtype == "uint8" and change.after.shape == ("batch", 9, 7, 3)


def test_a_wrong_fold_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from studio.core.errors import VerificationError

    right = InterfaceChange.forward
    monkeypatch.setattr(InterfaceChange, "forward", lambda change, array: right(change, array) // 2)
    monkeypatch.setattr(InterfaceChange, "backward", lambda change, array: array.astype(np.float32) / 300)
    with pytest.raises(VerificationError, match="differs"):
        verified("graph.fold-preprocessing", picture_model(tmp_path / "m.onnx", 0))


def test_other_readers_of_the_input_get_what_they_got(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "c"),
        node("GlobalAveragePool", "x", "g"),
        node("Conv", "g w", "d"),
        node("Add", "c d", "y"),
    ]
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", (1, 3, 4, 4))], [("y", None)], {"w": weight(3, 3, 1, 1)}))
    record = verified("graph.fold-preprocessing", path, reverse=True, **NORMAL)
    assert operators(onnx.load(str(record.artifact.path)))[:4] == ["Cast", "Gather", "Mul", "Add"]


def test_a_conv_outside_the_scope_is_not_rewritten(tmp_path: Path) -> None:
    path = picture_model(tmp_path / "m.onnx", 0)
    record = verified("graph.fold-preprocessing", path, Scope(operators=("Relu",)), **NORMAL)
    assert operators(onnx.load(str(record.artifact.path))) == ["Cast", "Mul", "Add", "Conv", "Relu"]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"mean": ("1", "2")}, "2 numbers"),
        ({"std": ("0",)}, "above 0"),
        ({"scale": "1/0"}, "not a number"),
        ({"scale": "0"}, "must not be 0"),
        ({"input": "z"}, "no input 'z'"),
    ],
)
def test_wrong_numbers_are_explained(tmp_path: Path, params: dict[str, Any], words: str) -> None:
    path = picture_model(tmp_path / "m.onnx", 0)
    with pytest.raises(PassError, match=words):
        once("graph.fold-preprocessing", open_artifact(path), tmp_path / "out", **params)
    assert not survey("graph.fold-preprocessing", path, **params).applies


def test_nothing_to_do_gives_the_source(tmp_path: Path) -> None:
    path = picture_model(tmp_path / "m.onnx", 0)
    result = once("graph.fold-preprocessing", open_artifact(path), tmp_path / "out", scale="1", dtype="keep")
    assert result.artifact == open_artifact(path) and result.warnings


def test_data_for_the_original_and_pixels_both_fit_the_sample(tmp_path: Path) -> None:
    result = once("graph.fold-preprocessing", open_artifact(SAMPLE), tmp_path / "out", layout="nhwc")
    with np.load(EVAL) as data:
        images, labels = data["image"][:200], data["labels"][:200]
    raw = np.rint(images * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    np.savez(tmp_path / "raw.npz", image=raw, labels=labels)
    np.savez(tmp_path / "old.npz", image=images, labels=labels)
    found = []
    for name in ("raw.npz", "old.npz"):
        dataset = data_for(REGISTRY, result.artifact, tmp_path / name)
        assert dataset.labelled and dataset.samples == 200
        batch = next(iter(dataset.batches(200)))
        assert batch.feeds["image"].dtype == np.uint8
        found.append(compute(result.artifact.path, batch.feeds["image"]).argmax(axis=1))
    assert (found[0] == found[1]).all()
    assert (found[0] == labels).mean() > 0.97
    assert any("converted" in note for note in dataset.notes)


def test_the_record_outlives_later_steps(tmp_path: Path) -> None:
    folded = once("graph.fold-preprocessing", open_artifact(SAMPLE), tmp_path / "a").artifact
    for pass_id in ("graph.clean", "quantize.dynamic", "quantize.float16", "graph.convert-opset"):
        later = once(pass_id, folded, tmp_path / pass_id)
        assert changes_of(later.artifact) == changes_of(folded), pass_id
    twice = once("graph.layout", folded, tmp_path / "b", inputs="nhwc").artifact
    assert [change.kind for change in changes_of(twice)] == ["input", "input"]
    assert data_for(REGISTRY, twice, EVAL).samples == 1000


def test_a_change_goes_there_and_back() -> None:
    before, after = (TensorInfo(name="x", dtype=dtype, shape=shape) for dtype, shape in
                     (("float32", (1, 3, 4, 5)), ("uint8", (1, 4, 5, 3))))  # fmt: skip
    change = InterfaceChange(
        kind="input", before=before, after=after, order=(0, 2, 3, 1), reverse=True, scale=1 / 255, mean=MEAN, std=STD
    )
    raw = pixels(1, 4, 5, 3)
    assert (change.forward(change.backward(raw)) == raw).all()
    expected = (raw[0, 1, 2, ::-1] / 255 - MEAN) / STD
    np.testing.assert_allclose(change.backward(raw)[0, :, 1, 2], expected, rtol=1e-5)
    assert change.forward(np.full((2, 1, 3, 4, 5), 99, np.float32)).shape == (2, 1, 4, 5, 3)


def test_a_branch_that_reads_the_input_gets_what_it_got(tmp_path: Path) -> None:
    branches = {
        f"{name}_branch": graph([node(operator, "x", f"{name}_y")], [], [(f"{name}_y", (1, 3, 4, 4))], name=name)
        for name, operator in (("then", "Neg"), ("else", "Relu"))
    }
    nodes = [node("ReduceSum", "x", "s", keepdims=0), node("Greater", "s zero", "c"), node("If", "c", "y", **branches)]
    main = graph(nodes, [("x", (1, 3, 4, 4))], [("y", (1, 3, 4, 4))], {"zero": np.float32(0)})
    record = verified("graph.fold-preprocessing", save(tmp_path / "m.onnx", main), layout="nhwc", **NORMAL)
    assert operators(onnx.load(str(record.artifact.path)))[:4] == ["Cast", "Transpose", "Mul", "Add"]


def test_an_input_that_nothing_reads_changes_too(tmp_path: Path) -> None:
    main = graph([node("Relu", "z", "y")], [("x", (1, 3, 4, 4)), ("z", (1, 2))], [("y", (1, 2))])
    record = verified("graph.fold-preprocessing", save(tmp_path / "m.onnx", main))
    assert [change.name for change in changes_of(record.artifact)] == ["x"]


def test_a_quantized_model_takes_pixels(tmp_path: Path) -> None:
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("DequantizeLinear", "w sw", "dw"),
        node("Conv", "d dw", "y"),
    ]
    weights: dict[str, Any] = {"s": np.float32(0.02), "z": np.uint8(128), "sw": np.float32(0.01)}
    weights["w"] = (weight(4, 3, 3, 3) * 40).astype(np.int8)
    path = save(tmp_path / "m.onnx", graph(nodes, [("x", ("batch", 3, 9, 9))], [("y", None)], weights))
    record = verified("graph.fold-preprocessing", path, **NORMAL)
    assert operators(onnx.load(str(record.artifact.path)))[:3] == ["Cast", "Mul", "Add"]
