"""What is advised about a cause, on plain data; each step is one that the bundled passes take."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.analysis.remedies import with_remedies
from studio.core.diagnosis.causes import Side, find_causes
from studio.core.diagnosis.explanation import Remedy
from studio.core.recipe import Recipe, parse_step
from studio.core.registry import scan
from studio.core.runner import resolve_recipe
from tests.core.diagnosis.layers import layer, side

REGISTRY = scan(Path(__file__).parents[2] / "plugins")
FLOAT = side(layer("a", 1.0), layer("b", 1.0))


def remedy(baseline: Side, variant: Side, kind: str) -> Remedy:
    causes = with_remedies(find_causes(baseline, variant), baseline, variant)
    found = next(cause.remedy for cause in causes if cause.kind == kind)
    assert found is not None
    if found.step:
        resolve_recipe(Recipe(steps=(parse_step(found.step),)), REGISTRY.get_pass)
    return found


def test_layers_that_lose_are_left_in_float_by_name() -> None:
    variant = side(
        layer("a", 3.0, "QLinearConv", precision="u8"),
        layer("b", 0.5, "QLinearConv", precision="u8"),
    )
    assert remedy(FLOAT, variant, "no fast kernel").step == "quantize.static:scope.exclude=a"


def test_names_that_a_step_cannot_hold_are_not_put_into_one() -> None:
    before, after = layer("a,b", 1.0), layer("a,b", 3.0, "QLinearConv", precision="u8")
    assert remedy(side(before), side(after), "no fast kernel").step == ""


def test_dynamic_convolutions_are_left_in_float() -> None:
    variant = side(layer("a_quant", 9.0, "ConvInteger", precision="u8", origins=("a",), kernel="ConvInteger"))
    assert remedy(side(layer("a", 1.0)), variant, "no fast kernel").step == "quantize.dynamic:operators=MatMul|Gemm"


@pytest.mark.parametrize(
    ("extra", "step"),
    [
        (layer("q", 1.0, "DynamicQuantizeLinear", kind="conversion", origins=()), "quantize.static"),
        (layer("q", 1.0, "QuantizeLinear", origins=()), "quantize.static:between=true"),
    ],
)
def test_conversions_become_fewer(extra: object, step: str) -> None:
    variant = side(layer("a", 0.5, "QLinearConv", precision="u8"), layer("b", 1.0), extra)  # type: ignore[arg-type]
    assert remedy(FLOAT, variant, "conversion").step == step


def test_what_stays_in_float() -> None:
    eight_bits = layer("a", 0.5, "QLinearConv", precision="u8")
    product = side(eight_bits, layer("b", 1.5, "MatMul"))
    assert remedy(FLOAT, product, "still in float").step == "quantize.static:activation_matmul=true"
    refused = side(eight_bits, layer("b", 1.5, operators=("ConvInteger",)))
    assert remedy(FLOAT, refused, "still in float").step == "quantize.static"
    other = side(eight_bits, layer("b", 1.5))
    assert remedy(FLOAT, other, "still in float").step == "quantize.static:operators=Conv|Gemm|MatMul|ConvTranspose"


def test_too_many_threads() -> None:
    variant = side(layer("a", 5.0), threads=8)
    assert "--threads 2" in remedy(side(layer("a", 1.0), threads=2), variant, "oversubscription").text


def test_fusions_that_were_lost_in_float() -> None:
    fused = side(layer("k", 1.2, nodes=("conv", "add"), cores=("conv",)))
    assert remedy(fused, side(layer("conv", 1.2), layer("add", 0.4, "Add")), "fusion lost").step == "graph.fuse"


def test_what_makes_it_faster_needs_no_remedy() -> None:
    variant = side(layer("a", 0.4, "QLinearConv", precision="u8"), layer("b", 0.4, "QLinearConv", precision="u8"))
    assert [cause.remedy for cause in with_remedies(find_causes(FLOAT, variant), FLOAT, variant)] == [None]
