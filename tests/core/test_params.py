from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import model_validator

from studio.core.errors import UsageError
from studio.core.params import Params, ParamSpec, describe, param, parse_params


class Sample(Params):
    """One parameter of every kind."""

    ratio: float = param(0.25, "Share to remove.", unit="%", gt=0, lt=1, candidates=(0.25, 0.5))
    count: int = param(8, "How many.", ge=1, le=64, title="Number")
    limit: int | None = param(None, "At most.", ge=0)
    symmetric: bool = param(True, "Whether it is symmetric.")
    kind: Literal["minmax", "entropy"] = param("minmax", "Which one.", advanced=True)
    bits: Literal[4, 8] = param(8, "Width.")
    name: str = param("", "A name.")
    operators: tuple[str, ...] = param(("Conv",), "Operators.")


def test_every_kind_is_described() -> None:
    specs = {spec.name: spec for spec in describe(Sample)}
    assert list(specs) == ["ratio", "count", "limit", "symmetric", "kind", "bits", "name", "operators"]
    assert [spec.kind for spec in specs.values()] == [
        "float", "int", "int", "bool", "choice", "choice", "text", "list",
    ]  # fmt: skip
    assert specs["ratio"] == ParamSpec(
        name="ratio",
        title="Ratio",
        kind="float",
        default=0.25,
        help="Share to remove.",
        unit="%",
        minimum=0,
        maximum=1,
        exclusive_minimum=True,
        exclusive_maximum=True,
        candidates=(0.25, 0.5),
    )
    assert (specs["count"].title, specs["count"].minimum, specs["count"].maximum) == ("Number", 1, 64)
    assert not (specs["count"].exclusive_minimum or specs["count"].exclusive_maximum)
    assert (specs["limit"].optional, specs["limit"].minimum, specs["limit"].default) == (True, 0, None)
    assert (specs["kind"].choices, specs["kind"].advanced) == (("minmax", "entropy"), True)
    assert (specs["bits"].choices, specs["bits"].default) == (("4", "8"), 8)
    assert specs["operators"].default == ("Conv",)


@pytest.mark.parametrize("annotation", [dict[str, int], tuple[int, ...], int | str, bytes])
def test_types_that_no_form_can_show(annotation: Any) -> None:
    odd = type("Odd", (Params,), {"__annotations__": {"x": annotation}, "x": param(None, "Odd.")})
    with pytest.raises(TypeError, match="a parameter cannot be of type"):
        describe(odd)


def test_defaults_and_text() -> None:
    assert parse_params(Sample, {}) == Sample()
    text = {
        "ratio": "0.5",
        "count": "3",
        "limit": "7",
        "symmetric": "false",
        "kind": "entropy",
        "bits": "4",
        "name": "a|b",
        "operators": "Conv|Gemm",
    }
    assert parse_params(Sample, text) == Sample(
        ratio=0.5, count=3, limit=7, symmetric=False, kind="entropy", bits=4, name="a|b", operators=("Conv", "Gemm")
    )
    assert parse_params(Sample, {"limit": "none", "operators": ""}) == Sample(limit=None, operators=())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ratio", 1, "prune:ratio cannot be 1: input should be less than 1."),
        ("ratio", "nan", "prune:ratio cannot be 'nan'"),
        ("ratio", float("inf"), "prune:ratio cannot be inf"),
        ("count", 0, "prune:count cannot be 0: input should be greater than or equal to 1."),
        ("count", "many", "prune:count cannot be 'many'"),
        ("count", "none", "prune:count cannot be 'none'"),
        ("kind", "max", "prune:kind cannot be 'max': input should be 'minmax' or 'entropy'."),
        ("bits", "5", "prune:bits cannot be '5'"),
        ("symmetric", "perhaps", "prune:symmetric cannot be 'perhaps'"),
        ("operators", 5, "prune:operators cannot be 5"),
    ],
)
def test_wrong_values_are_explained(name: str, value: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_params(Sample, {name: value}, owner="prune")
    assert caught.value.message.startswith(message)
    (spec,) = [spec for spec in describe(Sample) if spec.name == name]
    assert caught.value.hint == f"{spec.help} Default: {spec.default}."


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        parse_params(Sample, {"ration": 1}, owner="prune")
    assert str(caught.value) == "There is no parameter 'ration' of prune. Did you mean 'ratio'?"


def test_a_rule_over_several_parameters() -> None:
    class Pair(Params):
        low: int = param(0, "Low.")
        high: int = param(1, "High.")

        @model_validator(mode="after")
        def _ordered(self) -> Pair:
            if self.low > self.high:
                raise ValueError("low is above high")
            return self

    with pytest.raises(UsageError, match=r"^pair: value error, low is above high\."):
        parse_params(Pair, {"low": 2}, owner="pair")


def test_a_value_cannot_be_changed_and_a_wrong_default_is_found() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Sample().count = 3  # type: ignore[misc]

    class Wrong(Params):
        count: int = param(0, "How many.", ge=1)

    with pytest.raises(UsageError, match="count cannot be 0"):
        parse_params(Wrong, {})


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "ratio": st.floats(0, 1, exclude_min=True, exclude_max=True),
        "count": st.integers(1, 64),
        "limit": st.none() | st.integers(min_value=0),
        "symmetric": st.booleans(),
        "kind": st.sampled_from(["minmax", "entropy"]),
        "bits": st.sampled_from([4, 8]),
        "name": st.text(),
        "operators": st.lists(st.text(st.characters(exclude_characters="|", codec="utf-8"), min_size=1)).map(tuple),
    },
)


def as_text(value: object) -> str:
    if value is None:
        return "none"
    return "|".join(value) if isinstance(value, tuple) else str(value)


@given(VALUES)
def test_values_their_text_and_their_json_give_the_same(values: dict[str, Any]) -> None:
    made = parse_params(Sample, values)
    assert made == Sample(**values)
    assert parse_params(Sample, {name: as_text(value) for name, value in values.items()}) == made
    assert parse_params(Sample, made.model_dump(mode="json")) == made


@given(st.dictionaries(st.sampled_from([*Sample.model_fields, "other"]), st.text() | st.floats() | st.none()))
def test_whatever_is_given_is_a_value_or_a_usage_error(values: dict[str, Any]) -> None:
    try:
        made = parse_params(Sample, values)
    except UsageError as error:
        assert error.message
    else:
        assert 0 < made.ratio < 1  # type: ignore[attr-defined]
