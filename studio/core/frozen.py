"""The base of every plain value."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """An immutable, fully typed value that knows its JSON."""

    # Infinities and NaN (an SQNR of identical outputs, a broken variant's error) come back from JSON as they were.
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=False, ser_json_inf_nan="strings")


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no blanks: equal values give equal text.

    Parameters
    ----------
    value
        Plain JSON-able data, finite floats only.

    Raises
    ------
    ValueError
        When a float is NaN or infinite.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """Give the sha256 of a plain value's canonical JSON, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
