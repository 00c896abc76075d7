"""Strict JSON for the pipe between a pool and its workers.

One message is one line of ASCII, so that no locale, code page or lone surrogate (a file name that is not
UTF-8) can break it. JSON has no NaN and no infinities: such a float travels as ``{"$float": "nan"}``
(or ``"inf"``, ``"-inf"``), and a key of the caller's own that looks like that mark gets one more ``$``. As
everywhere in JSON a tuple arrives as a list, and a key that is a number as its text.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

_MARK = "$float"
_LOOKALIKE = re.compile(r"\$+float")


class NotJsonError(TypeError):
    """A value that JSON cannot carry; the text says where it is and what it is."""


def dumps(value: Any) -> str:
    """Turn a value into one line of strict JSON.

    Parameters
    ----------
    value
        Nested dicts, lists, tuples, strings, numbers, booleans and None; floats may be NaN or infinite.

    Returns
    -------
    str
        ASCII, without a line break.

    Raises
    ------
    NotJsonError
        The value holds something else, or itself.
    """
    try:
        text = _plain(value)
    except (TypeError, ValueError, RecursionError):
        text = None
    # The quick way fits nearly every message; walking the value is for those it does not fit, and finds the culprit.
    if text is not None and f'{_MARK}"' not in text:
        return text
    try:
        return _plain(_escaped(value, "", set()))
    except RecursionError:
        raise NotJsonError("the value is nested too deeply") from None
    except ValueError as error:
        raise NotJsonError(str(error)) from None


def loads(text: str | bytes) -> Any:
    """Read what `dumps` wrote.

    Raises
    ------
    ValueError
        The text is not JSON.
    """
    marked = (_MARK in text) if isinstance(text, str) else (_MARK.encode() in text)
    return json.loads(text, object_hook=_restored if marked else None)


def _plain(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _escaped(value: Any, where: str, parents: set[int]) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {_MARK: repr(float(value))}
    if not isinstance(value, (dict, list, tuple)):
        raise NotJsonError(f"{where or 'the value'} is a {type(value).__name__}")
    if id(value) in parents:
        raise NotJsonError(f"{where} contains itself")
    parents.add(id(value))
    try:
        if isinstance(value, dict):
            return {_key(key, where): _escaped(item, _inside(where, key), parents) for key, item in value.items()}
        return [_escaped(item, _inside(where, index), parents) for index, item in enumerate(value)]
    finally:
        parents.discard(id(value))


def _inside(where: str, key: Any) -> str:
    return f"{where}[{key!r}]" if where else str(key)


def _key(key: Any, where: str) -> Any:
    if isinstance(key, str):
        return f"${key}" if _LOOKALIKE.fullmatch(key) else key
    if key is None or isinstance(key, (bool, int, float)):
        return key
    raise NotJsonError(f"{where} has a key that is a {type(key).__name__}")


def _restored(found: dict[str, Any]) -> Any:
    if len(found) == 1 and _MARK in found:
        return float(found[_MARK])
    return {key[1:] if _LOOKALIKE.fullmatch(key) else key: item for key, item in found.items()}
