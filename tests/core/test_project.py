from __future__ import annotations

import pytest
from pydantic import ValidationError

from studio.core.errors import UsageError
from studio.core.project import (
    BASELINE,
    FailedStep,
    Project,
    Variant,
    add_failure,
    add_variant,
    annotate_variant,
    dismiss_failure,
    duplicate_variant,
    remove_variant,
    rename_variant,
    with_recipe,
    with_settings,
)
from studio.core.recipe import Recipe, Step


def variant(name: str, parent: str | None = BASELINE) -> Variant:
    step = Step(pass_id=f"pass.{name}") if parent else None
    return Variant(
        id=name if parent is None else f"v-{name}", name=name, parent=parent, step=step, model="m", bytes=1, nodes=1
    )


def project(*variants: Variant) -> Project:
    return Project(name="p", source_name="s", created_at="t", variants=(variant(BASELINE, None), *variants))


TREE = project(variant("a"), variant("b"), variant("aa", "v-a"), variant("aaa", "v-aa"))


def names(project: Project) -> list[str]:
    return [variant.name for variant in project.variants]


def test_finding_variants() -> None:
    assert TREE.baseline.name == BASELINE
    assert TREE.variant("aa") is TREE.variant("v-aa") is TREE.variants[3]
    assert [child.name for child in TREE.children(BASELINE)] == ["a", "b"]
    assert [one.name for one in TREE.lineage("aaa")] == [BASELINE, "a", "aa", "aaa"]
    with pytest.raises(UsageError, match=r"There is no variant 'baselin'\. Did you mean 'baseline'\?"):
        TREE.variant("baselin")


def test_an_id_goes_before_a_name() -> None:
    confusing = project(variant("a"), variant("b").model_copy(update={"name": "v-c"}), variant("c"))
    assert confusing.variant("v-c").id == "v-c"


def test_the_steps_that_made_a_variant() -> None:
    recipe = TREE.recipe_of("aaa")
    assert recipe.name == "aaa"
    assert [step.pass_id for step in recipe.steps] == ["pass.a", "pass.aa", "pass.aaa"]
    assert TREE.recipe_of(BASELINE).steps == ()


def test_adding_and_replacing() -> None:
    assert names(add_variant(TREE, variant("c"))) == [BASELINE, "a", "b", "aa", "aaa", "c"]
    noted = add_variant(TREE, variant("b").model_copy(update={"notes": "mine"}))
    assert names(noted) == names(TREE)
    assert noted.variant("b").notes == "mine"
    assert TREE.variant("b").notes == ""


def test_removing_takes_all_that_was_made_from_it() -> None:
    assert names(remove_variant(TREE, "a")) == [BASELINE, "b"]
    assert names(remove_variant(TREE, "v-aa")) == [BASELINE, "a", "b"]
    with pytest.raises(UsageError, match="baseline cannot be removed"):
        remove_variant(TREE, BASELINE)
    with pytest.raises(UsageError, match="There is no variant"):
        remove_variant(TREE, "zzz")


def test_renaming() -> None:
    assert names(rename_variant(TREE, "b", "  small ")) == [BASELINE, "a", "small", "aa", "aaa"]
    assert rename_variant(TREE, "b", "b") == TREE
    assert rename_variant(TREE, "b", "v-b").variant("v-b").id == "v-b"
    for taken in ("", "  ", "a", "v-a", BASELINE):
        with pytest.raises(UsageError, match="cannot be named"):
            rename_variant(TREE, "b", taken)


def test_recipe_and_settings() -> None:
    recipe = Recipe(name="r")
    assert with_recipe(TREE, recipe).recipe == recipe
    changed = with_settings(with_settings(TREE, device="openvino:CPU"), theme="dark")
    assert (changed.settings.device, changed.settings.theme) == ("openvino:CPU", "dark")
    assert TREE.settings.device == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"theme": "pink"}, "The setting theme cannot be 'pink'. Input should be 'system', 'light' or 'dark'."),
        ({"devise": "x"}, "The setting devise cannot be 'x'. Did you mean 'device'?"),
    ],
)
def test_settings_that_are_not_there(change: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        with_settings(TREE, **change)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    "variants",
    [
        (),
        (variant("a"),),
        (variant(BASELINE, None), variant(BASELINE, None)),
        (variant(BASELINE, None), variant("a"), variant("a")),
        (variant(BASELINE, None), variant("aa", "v-a"), variant("a")),
        (variant(BASELINE, None), variant("a", "v-a")),
        (variant(BASELINE, None), variant("other", None)),
    ],
)
def test_what_is_no_tree_is_refused(variants: tuple[Variant, ...]) -> None:
    with pytest.raises(ValidationError, match=r"out of place|no baseline"):
        Project(name="p", source_name="s", created_at="t", variants=variants)


def test_it_comes_back_from_its_json() -> None:
    assert Project.model_validate_json(TREE.model_dump_json(by_alias=True)) == TREE


def test_a_duplicate_has_a_name_and_notes_of_its_own() -> None:
    project = TREE
    chosen = project.variants[1]
    twice = duplicate_variant(duplicate_variant(project, chosen.id), chosen.id)
    first, second = twice.variants[-2:]
    assert (first.name, second.name) == (f"{chosen.name} copy", f"{chosen.name} copy 2")
    assert first.copy_of == second.copy_of == chosen.id
    assert (first.model, first.parent, first.step) == (chosen.model, chosen.parent, chosen.step)
    noted = annotate_variant(twice, first.id, notes=" try this \n", color=3)
    assert (noted.variant(first.id).notes, noted.variant(first.id).color) == ("try this", 3)
    assert noted.variant(chosen.id) == chosen
    assert annotate_variant(noted, first.id, color=None).variant(first.id).notes == "try this"
    assert annotate_variant(noted, first.id, notes="").variant(first.id).color == 3
    with pytest.raises(UsageError, match="no colour"):
        annotate_variant(project, chosen.id, color=99)
    with pytest.raises(UsageError, match="baseline"):
        duplicate_variant(project, BASELINE)


def test_a_failed_step_is_one_row_that_goes_with_its_parent() -> None:
    project = TREE
    parent = project.variants[1].id
    row = FailedStep(id="f1", parent=parent, name="x", step=Step(pass_id="a.x"), message="It broke.")
    kept = add_failure(add_failure(project, row), row.model_copy(update={"message": "It broke again."}))
    assert [item.message for item in kept.failed] == ["It broke again."]
    assert dismiss_failure(kept, "f1").failed == ()
    assert dismiss_failure(kept, "other") == kept
    assert remove_variant(kept, parent).failed == ()
