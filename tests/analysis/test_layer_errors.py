from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from studio.core.dataset import Batch
from studio.core.errors import Cancelled
from studio.core.layercompare import compare_layers
from studio.core.layererrors import TensorError, with_growth
from studio.core.matching import match_tensors
from tests.analysis.support import damaged, decibels, engine, given, saved, variant
from tests.passes.calibrated import Samples
from tests.passes.graph.harness import run
from tests.passes.quantize.support import images, residual_cnn

DATA = given(images(24))


def test_the_damaged_layer_is_where_the_error_jumps(tmp_path: Path) -> None:
    proto = residual_cnn()
    source = saved(proto, tmp_path / "a.onnx")
    broken = saved(damaged(proto, "w2", 1.0), tmp_path / "b.onnx")
    matches, refused = match_tensors(source, broken)
    found = compare_layers(engine(tmp_path), source, broken, matches, DATA, samples=16)
    by_node = {item.node: item for item in found.tensors}
    assert not refused
    assert next(item.node for item in found.tensors if item.jump) == "conv2"
    assert by_node["conv1"].sqnr_db == 200.0
    assert by_node["relu1"].max_abs_error == 0.0
    assert by_node["conv2"].sqnr_db < 10 < by_node["conv2"].drop_db
    assert by_node["add"].sqnr_db > by_node["depthwise"].sqnr_db


def test_figures_are_those_of_the_tensors(tmp_path: Path) -> None:
    proto = residual_cnn()
    source = saved(proto, tmp_path / "a.onnx")
    broken = saved(damaged(proto, "w4", 0.1), tmp_path / "b.onnx")
    matches, _ = match_tensors(source, broken)
    found = compare_layers(engine(tmp_path), source, broken, matches, DATA, samples=10)
    (last,) = [item for item in found.tensors if item.tensor == "logits"]
    feeds = {"image": DATA.arrays["image"][:10]}
    right, wrong = run(source.path, feeds)[0], run(broken.path, feeds)[0]
    assert last.samples == 10
    assert last.sqnr_db == pytest.approx(decibels(right, wrong), abs=0.01)
    assert last.max_abs_error == pytest.approx(np.abs(right - wrong).max(), rel=1e-4)
    cosines = (right * wrong).sum(1) / np.linalg.norm(right, axis=1) / np.linalg.norm(wrong, axis=1)
    assert last.cosine == pytest.approx(cosines.mean(), abs=1e-5)


def test_a_rounded_tensor_is_compared_as_later_layers_read_it(tmp_path: Path) -> None:
    source = saved(residual_cnn(), tmp_path / "a.onnx")
    quantized = variant("quantize.static", source, DATA, tmp_path / "work")
    matches, _ = match_tensors(source, quantized)
    others = {match.tensor: match.other for match in matches}
    assert others["r1"] == "r1_DequantizeLinear_Output"
    found = compare_layers(engine(tmp_path), source, quantized, matches, DATA, samples=8)
    assert all(15 < item.sqnr_db < 80 for item in found.tensors if item.operator in ("Conv", "Gemm"))


def test_renamed_tensors_are_matched_by_node_and_by_provenance(tmp_path: Path) -> None:
    proto = residual_cnn()
    source = saved(proto, tmp_path / "a.onnx")
    for node in proto.graph.node:
        for names in (node.input, node.output):
            names[:] = ["other" if name == "c2" else "third" if name == "p" else name for name in names]
        if node.name == "pool":
            node.name = "renamed"
    result = saved(proto, tmp_path / "b.onnx")
    plain = {match.tensor: match.other for match in match_tensors(source, result)[0]}
    assert plain["c2"] == "other"
    assert "p" not in plain
    known = {match.tensor: match.other for match in match_tensors(source, result, {"renamed": ("pool",)})[0]}
    assert known["p"] == "third"


def test_shapes_that_differ_are_named(tmp_path: Path) -> None:
    source = saved(residual_cnn(), tmp_path / "a.onnx")
    narrow = residual_cnn(width=16)
    result = saved(narrow, tmp_path / "b.onnx")
    matches, _ = match_tensors(source, result)
    found = compare_layers(engine(tmp_path), source, result, matches, DATA, samples=4)
    assert "conv1" in found.refused["its output has another shape in the variant"]
    assert [item.node for item in found.tensors] == ["fc"]


class Stopping(Samples):
    """Asks for an end after a few samples."""

    def batches(self, size: int, limit: int | None = None) -> Iterator[Batch]:
        for number, batch in enumerate(super().batches(size, limit)):
            if number == 2:
                raise Cancelled
            yield batch


def test_stopping_keeps_what_was_compared(tmp_path: Path) -> None:
    proto = residual_cnn()
    source, other = saved(proto, tmp_path / "a.onnx"), saved(damaged(proto, "w2", 0.1), tmp_path / "b.onnx")
    matches, _ = match_tensors(source, other)
    found = compare_layers(engine(tmp_path), source, other, matches, Stopping(image=images(24)["image"]), samples=24)
    assert found.stopped
    assert {item.samples for item in found.tensors} == {8}


def test_growth_is_reckoned_from_the_worst_input() -> None:
    def one(tensor: str, sqnr: float, *inputs: str) -> TensorError:
        return TensorError(
            tensor=tensor,
            other=tensor,
            node=tensor,
            operator="Conv",
            other_node=tensor,
            inputs=inputs,
            samples=1,
            sqnr_db=sqnr,
            max_abs_error=0,
            largest=1,
            cosine=1,
        )

    grown = with_growth([one("a", 40.0), one("b", 25.0), one("c", 24.0, "a", "b"), one("d", 12.0, "c")])
    assert [round(item.drop_db) for item in grown] == [20, 35, 1, 12]
    assert [item.jump for item in grown] == [False, True, False, True]
