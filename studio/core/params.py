"""Parameters of a pass: one declaration gives validation, the form, the flags and the reference table."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from studio.core.errors import UsageError, nearest
from studio.core.frozen import Frozen

Kind = Literal["bool", "int", "float", "choice", "text", "list"]


class Params(BaseModel):
    """Base of every pass's parameters; each field is declared with `param`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


def param(
    default: Any,
    help: str,
    *,
    title: str = "",
    unit: str = "",
    ge: float | None = None,
    le: float | None = None,
    gt: float | None = None,
    lt: float | None = None,
    candidates: tuple[Any, ...] = (),
    advanced: bool = False,
) -> Any:
    """Declare one parameter.

    Parameters
    ----------
    default
        Value when the user says nothing; every parameter has one.
    help
        One sentence.
    title
        Label in the form; made from the field's name when empty.
    unit
        Shown behind the value, such as ``"%"`` or ``"samples"``.
    ge, le, gt, lt
        Bounds of a number.
    candidates
        Values that a search may try.
    advanced
        Whether the form hides it at first.
    """
    extra: dict[str, Any] = {"unit": unit, "candidates": list(candidates), "advanced": advanced}
    return Field(
        default=default, description=help, title=title or None, ge=ge, le=le, gt=gt, lt=lt, json_schema_extra=extra
    )


class ParamSpec(Frozen):
    """What a form, a flag or a reference table needs to know of one parameter."""

    name: str
    title: str
    kind: Kind
    default: bool | int | float | str | tuple[str, ...] | None
    help: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: bool = False
    exclusive_maximum: bool = False
    optional: bool = False
    choices: tuple[str, ...] = ()
    candidates: tuple[Any, ...] = ()
    advanced: bool = False


def describe(params: type[Params]) -> tuple[ParamSpec, ...]:
    """List the parameters of a class in the order of their declaration."""
    return tuple(_spec(name, field) for name, field in params.model_fields.items())


def parse_params(params: type[Params], values: Mapping[str, Any], *, owner: str = "") -> Params:
    """Validate plain values (or their text, from a command line) into a parameters value.

    Parameters
    ----------
    params
        The class to make.
    values
        Name to value; text is converted, lists may be text joined by ``|``.
    owner
        What the parameters belong to, for messages.

    Raises
    ------
    UsageError
        For an unknown name or a value out of bounds.
    """
    specs = {spec.name: spec for spec in describe(params)}
    for name in values:
        if name not in specs:
            where = f" of {owner}" if owner else ""
            raise UsageError(f"There is no parameter {name!r}{where}.", nearest(name, specs))
    fields = params.model_fields
    plain = {name: _plain(specs[name], value, fields[name].annotation) for name, value in values.items()}
    try:
        return params.model_validate(plain)
    except ValidationError as error:
        raise UsageError(*_explain(error, specs, owner)) from None


def _plain(spec: ParamSpec, value: Any, annotation: Any) -> Any:
    if spec.kind == "list" and isinstance(value, str):
        return [part for part in value.split("|") if part]
    if spec.optional and value == "none":
        return None
    if spec.kind == "choice" and value in spec.choices:
        # A choice may be a number: its text stands for it.
        return get_args(_strip_optional(annotation)[0])[spec.choices.index(value)]
    return value


def _explain(error: ValidationError, specs: Mapping[str, ParamSpec], owner: str) -> tuple[str, str]:
    first = error.errors()[0]
    if not first["loc"]:
        return f"{owner or 'The parameters'}: {str(first['msg']).lower()}.", "Change one of them."
    name = str(first["loc"][0])
    spec = specs.get(name)
    label = f"{owner}:{name}" if owner else name
    message = f"{label} cannot be {first['input']!r}: {str(first['msg']).lower()}."
    return message, f"{spec.help} Default: {spec.default}." if spec else ""


def _spec(name: str, field: FieldInfo) -> ParamSpec:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    annotation, optional = _strip_optional(field.annotation)
    kind, choices = _kind(annotation)
    low, low_open, high, high_open = _bounds(field)
    default = None if field.default is PydanticUndefined else field.default
    candidates = extra.get("candidates", [])
    return ParamSpec(
        name=name,
        title=field.title or name.replace("_", " ").capitalize(),
        kind=kind,
        default=tuple(default) if isinstance(default, list) else default,
        help=field.description or "",
        unit=str(extra.get("unit", "")),
        minimum=low,
        maximum=high,
        exclusive_minimum=low_open,
        exclusive_maximum=high_open,
        optional=optional,
        choices=choices,
        candidates=tuple(candidates) if isinstance(candidates, list) else (),
        advanced=bool(extra.get("advanced", False)),
    )


def _strip_optional(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in (Union, types.UnionType):
        rest = [arg for arg in get_args(annotation) if arg is not type(None)]
        if len(rest) == 1 and len(get_args(annotation)) == 2:
            return rest[0], True
    return annotation, False


def _kind(annotation: Any) -> tuple[Kind, tuple[str, ...]]:
    if get_origin(annotation) is Literal:
        return "choice", tuple(str(arg) for arg in get_args(annotation))
    if get_origin(annotation) in (tuple, list) and set(get_args(annotation)) <= {str, ...}:
        return "list", ()
    kinds: dict[Any, Kind] = {bool: "bool", int: "int", float: "float", str: "text"}
    if annotation in kinds:
        return kinds[annotation], ()
    raise TypeError(
        f"a parameter cannot be of type {annotation!r}; use bool, int, float, str, Literal or a tuple of str"
    )


def _bounds(field: FieldInfo) -> tuple[float | None, bool, float | None, bool]:
    low: float | None = None
    high: float | None = None
    low_open = high_open = False
    for bound in field.metadata:
        if isinstance(bound, annotated_types.Ge):
            low = float(bound.ge)  # type: ignore[arg-type]
        elif isinstance(bound, annotated_types.Gt):
            low, low_open = float(bound.gt), True  # type: ignore[arg-type]
        elif isinstance(bound, annotated_types.Le):
            high = float(bound.le)  # type: ignore[arg-type]
        elif isinstance(bound, annotated_types.Lt):
            high, high_open = float(bound.lt), True  # type: ignore[arg-type]
    return low, low_open, high, high_open
