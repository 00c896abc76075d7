from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from studio.core.frozen import Frozen, canonical_json, digest
from studio.core.measurement import Memory
from tests.core.values import evaluation, measurement


class Value(Frozen):
    number: float
    numbers: tuple[float, ...] = ()
    text: str = ""


def test_it_cannot_be_changed_and_takes_nothing_unknown() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Value(number=1).number = 2  # type: ignore[misc]
    with pytest.raises(ValidationError, match="extra"):
        Value(number=1, other=2)  # type: ignore[call-arg]


@given(st.floats(), st.lists(st.floats()), st.text())
def test_any_value_comes_back_from_its_json(number: float, numbers: list[float], text: str) -> None:
    value = Value(number=number, numbers=tuple(numbers), text=text)
    back = Value.model_validate_json(value.model_dump_json())
    assert repr(back) == repr(value)
    json.loads(value.model_dump_json(), parse_constant=pytest.fail)


def test_canonical_json() -> None:
    assert canonical_json({"b": [1, 1.0, True, None], "a": "é"}) == '{"a":"é","b":[1,1.0,true,null]}'
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            canonical_json([value])


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_canonical_json_is_stable_through_reading(value: Any) -> None:
    text = canonical_json(value)
    assert canonical_json(json.loads(text)) == text


def test_a_digest_that_never_changes() -> None:
    assert digest({"b": 1, "a": "é"}) == "aa58fba8483623bed37c1b02edfccbdd9a53123837c20bfa4cb4049993a2872e"


def test_memory_added_is_never_negative() -> None:
    assert Memory(before=10, loaded=20, peak=50).peak_delta == 40
    assert Memory(before=10, loaded=5, peak=5).peak_delta == 0


def test_facts_compare_by_value() -> None:
    assert measurement("a") == measurement("a") != measurement("b")
    assert evaluation("a") == evaluation("a") != evaluation("b")
