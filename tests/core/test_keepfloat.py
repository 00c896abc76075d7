from __future__ import annotations

import pytest

from studio.core.errors import UsageError
from studio.core.keepfloat import kept_in_float
from studio.core.project import BASELINE, Project, Variant, with_recipe
from studio.core.recipe import Step


def project() -> Project:
    def made(name: str, parent: str, step: str, provenance: dict[str, tuple[str, ...]]) -> Variant:
        return Variant(
            id=name,
            name=name,
            parent=parent,
            step=Step(pass_id=step),
            model=name,
            bytes=1,
            nodes=1,
            provenance=provenance,
        )

    base = Variant(id=BASELINE, name=BASELINE, model="0", bytes=1, nodes=2)
    fused = made("fused", BASELINE, "graph.fuse", {"conv[0]_relu": ("conv[0]", "relu")})
    small = made("int8", "fused", "quantize.static", {"conv[0]_relu": ("conv[0]", "relu"), "q": ("conv[0]",)})
    return Project(name="p", source_name="p.onnx", created_at="now", variants=(base, fused, small))


def is_precision(pass_id: str) -> bool:
    return pass_id.startswith("quantize")


def test_a_layer_is_left_out_under_the_name_that_the_step_saw() -> None:
    recipe = kept_in_float(project(), "int8", "conv[0]", is_precision)
    assert [step.pass_id for step in recipe.steps] == ["graph.fuse", "quantize.static"]
    scope = recipe.steps[1].scope
    assert recipe.steps[0].scope.everything
    assert not scope.selects("conv[0]_relu", "Conv")
    assert scope.selects("conv0_relu", "Conv")


def test_several_layers_are_left_out_one_after_the_other() -> None:
    document = project()
    first = kept_in_float(document, "int8", "conv[0]", is_precision)
    second = kept_in_float(with_recipe(document, first), "int8", "other", is_precision)
    scope = second.steps[1].scope
    assert not scope.selects("conv[0]_relu", "Conv")
    assert not scope.selects("other", "Conv")


def test_without_lower_precision_there_is_nothing_to_keep() -> None:
    with pytest.raises(UsageError, match="nothing to keep in float"):
        kept_in_float(project(), "fused", "conv[0]", is_precision)
