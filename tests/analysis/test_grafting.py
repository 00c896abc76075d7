from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from studio.core.grafting.grafter import Grafter, Scion
from studio.core.scope import Scope
from tests.analysis.support import damaged, decibels, given, saved, variant
from tests.passes.graph.harness import run
from tests.passes.quantize.support import images, residual_cnn, sentences, transformer

PICTURES = given(images(24))


def test_all_regions_together_are_the_variant(tmp_path: Path) -> None:
    source = saved(residual_cnn(), tmp_path / "a.onnx")
    quantized = variant("quantize.static", source, PICTURES, tmp_path / "work")
    grafter = Grafter(source, [Scion("int8", quantized)])
    made = grafter.hybrid(dict.fromkeys(grafter.regions["int8"], "int8"), tmp_path / "made" / "m.onnx")
    onnx.checker.check_model(str(made.path), full_check=True)
    whole, joined = (run(item.path, images(8))[0] for item in (quantized, made))
    np.testing.assert_array_equal(joined, whole)
    kinds = [node.op_type for node in onnx.load(str(made.path)).graph.node]
    assert kinds.count("QuantizeLinear") <= [node.op_type for node in onnx.load(str(quantized.path)).graph.node].count(
        "QuantizeLinear"
    )


def test_one_region_changes_nothing_else(tmp_path: Path) -> None:
    proto = residual_cnn()
    source = saved(proto, tmp_path / "a.onnx")
    other = saved(damaged(damaged(proto, "w1", 0.3), "w4", 0.3), tmp_path / "b.onnx")
    grafter = Grafter(source, [Scion("noisy", other)])
    assert [region.layers for region in grafter.regions["noisy"].values()] == [("conv1",), ("fc",)]
    made = grafter.hybrid({"logits": "noisy"}, tmp_path / "made" / "m.onnx")
    expected = saved(damaged(proto, "w4", 0.3), tmp_path / "c.onnx")
    np.testing.assert_array_equal(run(made.path, images(4))[0], run(expected.path, images(4))[0])
    assert [value.name for value in onnx.load(str(made.path)).graph.output] == ["logits"]


def test_forms_of_several_variants_in_one_model(tmp_path: Path) -> None:
    data = given(sentences(24))
    source = saved(transformer(), tmp_path / "a.onnx")
    int8 = variant("quantize.static", source, data, tmp_path / "work", operators=("MatMul",))
    int4 = variant("quantize.weights", source, data, tmp_path / "work4", bits=4)
    half = variant("quantize.float16", source, data, tmp_path / "work16")
    grafter = Grafter(source, [Scion("int8", int8), Scion("int4", int4), Scion("half", half)])
    wanted = {"q_0": "int8", "k_0": "int8", "up_0": "int4", "q_1": "half", "up_1": "int8"}
    chosen = {
        output: label
        for layer, label in wanted.items()
        for output, region in grafter.regions[label].items()
        if f"{layer}_node" in region.layers
    }
    assert len(chosen) == 5
    made = grafter.hybrid(chosen, tmp_path / "made" / "m.onnx")
    kinds = [node.op_type for node in onnx.load(str(made.path)).graph.node]
    assert kinds.count("MatMulNBits") == 1
    assert "QuantizeLinear" in kinds
    assert "Cast" in kinds
    right, found = (run(item.path, sentences(8))[0] for item in (source, made))
    assert 10 < decibels(right, found) < 60


def test_scope_and_layers_left_alone(tmp_path: Path) -> None:
    source = saved(residual_cnn(), tmp_path / "a.onnx")
    int8 = variant("quantize.static", source, PICTURES, tmp_path / "work")
    grafter = Grafter(source, [Scion("int8", int8)], Scope(patterns=("conv*",)))
    assert grafter.layers == ("conv1", "conv2")
    assert set(grafter.regions["int8"]) == {"r1", "r2"}
    same = Grafter(source, [Scion("same", source)])
    assert same.regions["same"] == {}


@pytest.mark.parametrize("label", ["int8", "half"])
def test_errors_of_regions_beside_their_source(tmp_path: Path, label: str) -> None:
    source = saved(residual_cnn(), tmp_path / "a.onnx")
    made = variant({"int8": "quantize.static", "half": "quantize.float16"}[label], source, PICTURES, tmp_path / "work")
    grafter = Grafter(source, [Scion(label, made)])
    model, named = grafter.beside(label, tmp_path / "beside" / "m.onnx")
    outputs = dict(
        zip([value.name for value in onnx.load(str(model.path)).graph.output], run(model.path, images(8)), strict=True)
    )
    levels = {name: float(10 * np.log10(outputs[one] / outputs[other])) for name, (other, one) in named.items()}
    low, high = (20, 60) if label == "int8" else (55, 100)
    assert set(levels) == set(grafter.regions[label])
    assert all(low < level < high for level in levels.values()), levels
