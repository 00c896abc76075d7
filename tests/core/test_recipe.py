from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from studio.core.errors import UsageError
from studio.core.recipe import (
    Recipe,
    Step,
    add_step,
    move_step,
    parse_recipe,
    read_recipe,
    recipe_toml,
    remove_step,
    replace_step,
)
from studio.core.scope import Scope

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
NAMES = st.lists(st.text(), max_size=3).map(tuple)
SCOPES = st.builds(Scope, names=NAMES, operators=NAMES, patterns=NAMES, exclude=NAMES)
STEPS = st.builds(
    Step,
    pass_id=st.text(),
    version=st.integers(),
    params=st.dictionaries(st.text(), PLAIN | st.lists(st.text()) | st.tuples(st.text(), st.text()), max_size=4),
    scope=SCOPES,
    enabled=st.booleans(),
)
RECIPES = st.builds(Recipe, name=st.text(), notes=st.text(), steps=st.lists(STEPS, max_size=4).map(tuple))

EXAMPLE = Recipe(
    name="small",
    notes="for the edge",
    steps=(
        Step(pass_id="graph.clean"),
        Step(
            pass_id="quantize.static",
            version=2,
            params={"per_channel": True, "samples": 128, "ratio": 0.5, "limit": None, "operators": ("Conv", "Gemm")},
            scope=Scope(operators=("Conv",), exclude=("*head*",)),
        ),
        Step(pass_id="prune.channels", enabled=False),
    ),
)


@given(RECIPES)
def test_toml_gives_an_equal_recipe(recipe: Recipe) -> None:
    back = parse_recipe(recipe_toml(recipe))
    assert back == recipe
    assert back.digest() == recipe.digest()
    assert [step.digest() for step in back.steps] == [step.digest() for step in recipe.steps]


@given(RECIPES)
def test_json_gives_an_equal_recipe(recipe: Recipe) -> None:
    for by_alias in (True, False):
        back = Recipe.model_validate_json(recipe.model_dump_json(by_alias=by_alias))
        assert back == recipe
        assert back.digest() == recipe.digest()


@given(RECIPES, st.text(), st.text())
def test_only_what_a_recipe_does_counts(recipe: Recipe, name: str, notes: str) -> None:
    other = Recipe(name=name, notes=notes, steps=recipe.active)
    assert other.digest() == recipe.digest()


def test_the_digests_that_name_results_on_users_disks_never_change() -> None:
    digests = [step.digest() for step in EXAMPLE.steps]
    assert digests == [
        "dc17b20acc151d5cafa217b137f9169881498065de9d1b623e699a2f4366c97d",
        "d75ddf8dc8a1d1e15d9d7329f40c1409ef4a3b70aca05a4f181c9fcebf5f517f",
        "06d968475d3a06d51ceafd90ff588968509f62500cf1e621c9fe914de9e04e8b",
    ]
    assert EXAMPLE.digest() == "bbb7996d004366edc2cdcc6d0533de9c488dbf5165038db5ca522960aad0f6f1"
    assert Recipe().digest() == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"


@pytest.mark.parametrize(
    "change",
    [
        {"pass_id": "graph.clear"},
        {"version": 2},
        {"params": {"x": 1}},
        {"params": {"x": None}},
        {"scope": Scope(names=("a",))},
        {"scope": Scope(patterns=("a",))},
    ],
)
def test_each_part_of_a_step_counts(change: dict[str, Any]) -> None:
    plain = Step(pass_id="graph.clean")
    assert plain.model_copy(update=change).digest() != plain.digest()
    assert plain.model_copy(update={"enabled": False}).digest() == plain.digest()


def test_the_order_of_parameters_does_not_count_and_that_of_steps_does() -> None:
    first, second = Step(pass_id="a", params={"x": 1, "y": 2}), Step(pass_id="a", params={"y": 2, "x": 1})
    assert first.digest() == second.digest()
    other = Step(pass_id="b")
    assert Recipe(steps=(first, other)).digest() != Recipe(steps=(other, first)).digest()


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("given", "kept"), [(("a", "b"), ["a", "b"]), (Colour.RED, "red"), (True, True), (1, 1), (1.0, 1.0), ((), [])]
)
def test_parameters_become_plain(given: object, kept: object) -> None:
    found = Step(pass_id="p", params={"x": given}).params["x"]
    assert found == kept
    assert type(found) is type(kept)


@pytest.mark.parametrize("value", [math.nan, math.inf, b"x", {"a": 1}, object(), [math.nan], {1}])
def test_parameters_that_are_not_plain_are_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        Step(pass_id="p", params={"x": value})


def test_a_recipe_as_people_write_it(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(
        """
        name = "small"
        notes = "for the edge"

        [[step]]
        pass = "graph.clean"

        [[step]]
        pass = "quantize.static"
        version = 2
        unset = ["limit"]
        params = { per_channel = true, samples = 128, ratio = 0.5, operators = ["Conv", "Gemm"] }
        scope = { operators = ["Conv"], exclude = ["*head*"] }

        [[step]]
        pass = "prune.channels"
        enabled = false
        """
    )
    assert read_recipe(path) == EXAMPLE
    assert read_recipe(path).active == EXAMPLE.steps[:2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "the recipe is not valid TOML"),
        ("format = 2", "the recipe has format 2; this Burnish reads 1."),
        ("colour = 1", "the recipe is not a recipe: colour: extra inputs are not permitted."),
        ("steps = []", "the recipe has a key 'steps'."),
        ("step = 1", "the recipe is not a recipe: steps: "),
        ("step = [1]", "the recipe is not a recipe: steps.0: "),
        ("[step]\npass = 'a'", "the recipe is not a recipe: steps: "),
        ("[[step]]\nversion = 1", "the recipe is not a recipe: steps.0.pass: field required."),
        ("[[step]]\npass = 'a'\nparam = {}", "the recipe is not a recipe: steps.0.param: extra inputs"),
        ("[[step]]\npass = 'a'\nunset = 'x'", "the recipe is not a recipe: steps.0.unset: extra inputs"),
        ("[[step]]\npass = 'a'\nparams = 1\nunset = []", "the recipe is not a recipe: steps.0."),
        ("[[step]]\npass = 'a'\nparams = { x = nan }", "the recipe is not a recipe: steps.0.params: "),
        ("[[step]]\npass = 'a'\nparams = { x = 2020-01-01 }", "the recipe is not a recipe: steps.0.params: "),
        ("[[step]]\npass = 'a'\nscope = { name = [] }", "the recipe is not a recipe: steps.0.scope.name: "),
    ],
)
def test_what_is_no_recipe(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_recipe(text)
    assert caught.value.message.startswith(message)
    assert caught.value.hint


@given(st.text())
def test_any_text_is_a_recipe_or_a_usage_error(text: str) -> None:
    try:
        parse_recipe(text)
    except UsageError as error:
        assert error.hint


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe9'")
    for path in (tmp_path, tmp_path / "none.toml", tmp_path / "latin.toml"):
        with pytest.raises(UsageError, match="cannot be read"):
            read_recipe(path)


def ids(recipe: Recipe) -> str:
    return "".join(step.pass_id for step in recipe.steps)


def test_edits_give_new_recipes() -> None:
    a, b, c, x = (Step(pass_id=name) for name in "abcx")
    recipe = Recipe(name="r", steps=(a, b, c))
    assert ids(replace_step(recipe, 1, x)) == "axc"
    assert [ids(add_step(recipe, x, at)) for at in (None, 0, 2)] == ["abcx", "xabc", "abxc"]
    assert [ids(remove_step(recipe, at)) for at in range(3)] == ["bc", "ac", "ab"]
    assert [ids(move_step(recipe, 0, to)) for to in range(3)] == ["abc", "bac", "bca"]
    assert [ids(move_step(recipe, 2, to)) for to in range(3)] == ["cab", "acb", "abc"]
    assert ids(recipe) == "abc"
    assert move_step(recipe, 0, 2).name == "r"


@pytest.mark.parametrize("index", [-1, 3])
def test_edits_of_steps_that_are_not_there(index: int) -> None:
    recipe = Recipe(steps=tuple(Step(pass_id=name) for name in "abc"))
    edits: list[Callable[[], Recipe]] = [
        lambda: replace_step(recipe, index, Step(pass_id="x")),
        lambda: remove_step(recipe, index),
        lambda: move_step(recipe, index, 0),
    ]
    for edit in edits:
        with pytest.raises(UsageError, match=f"There is no step {index}"):
            edit()


# scopes


@pytest.mark.parametrize(
    ("scope", "selected"),
    [
        (Scope(), {"/a/conv", "/b/Conv", "/a/fc", "[x]"}),
        (Scope(names=("/a/fc",)), {"/a/fc"}),
        (Scope(operators=("Conv",)), {"/a/conv", "/b/Conv"}),
        (Scope(patterns=("/a/*",)), {"/a/conv", "/a/fc"}),
        (Scope(patterns=("*conv",)), {"/a/conv"}),
        (Scope(names=("/a/fc",), operators=("Conv",)), {"/a/conv", "/b/Conv", "/a/fc"}),
        (Scope(exclude=("Conv",)), {"/a/fc", "[x]"}),
        (Scope(operators=("Conv",), exclude=("/b/*",)), {"/a/conv"}),
        (Scope(names=("[x]",)), {"[x]"}),
        (Scope(patterns=("[x]",)), set()),
    ],
)
def test_what_a_scope_selects(scope: Scope, selected: set[str]) -> None:
    nodes = {"/a/conv": "Conv", "/b/Conv": "Conv", "/a/fc": "Gemm", "[x]": "Add"}
    assert {name for name, operator in nodes.items() if scope.selects(name, operator)} == selected
    assert scope.everything is (scope == Scope())
