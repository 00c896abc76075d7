"""Data with how it is read: a preprocessing, columns, a tokenizer, a part of a split. Written as a small TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from studio.core.atomic import write_atomic
from studio.core.errors import DataError, UsageError, nearest
from studio.core.frozen import Frozen, digest
from studio.core.preprocessing import Preprocessing, parse_preprocessing, preprocessing_text

#: a file of this ending is a description of data
SUFFIX = ".data.toml"
LabelKind = Literal["class", "multilabel", "target", "text", "boxes", "mask"]


class Reading(Frozen):
    """How samples are read besides the preprocessing of pictures.

    Attributes
    ----------
    tokenizer
        The ``tokenizer.json`` that text is turned into ids with.
    text
        Columns of a manifest with text; two are a pair of sentences.
    length
        Tokens of a sample where the model takes any number: shorter ones are padded, longer ones cut.
        None pads to the longest of a batch, at most 512.
    label
        Column of a manifest with the label.
    labels
        What labels are: class indices, several classes, numbers to predict, text; None finds out.
    rate
        Samples a second that audio is resampled to; None keeps the file's.
    seconds
        Length of audio where the model takes any: padded with silence or cut; None keeps the file's.
    """

    tokenizer: Path | None = None
    text: tuple[str, ...] = ()
    length: int | None = Field(default=None, ge=1, le=1_000_000)
    label: str = ""
    labels: LabelKind | None = None
    rate: int | None = Field(default=None, ge=1, le=1_000_000)
    seconds: float | None = Field(default=None, gt=0, le=86_400)


class Part(Frozen):
    """A share of the samples: those whose content hashes to a number from `start` to below `end`, of 0 to 1."""

    name: str
    start: float = Field(ge=0, lt=1)
    end: float = Field(gt=0, le=1)


class Source(Frozen):
    """Data at a path, and how it is read."""

    path: Path
    preprocess: Preprocessing | None = None
    reading: Reading = Reading()
    part: Part | None = None


def parse_reading(text: str) -> Reading:
    """Read ``KEY=VALUE,...``; several columns are joined by ``|``.

    Raises
    ------
    UsageError
        For an unknown key or a value that it cannot have.
    """
    values: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if key not in Reading.model_fields or not equals:
            hint = nearest(key, Reading.model_fields) or f"Known: {', '.join(Reading.model_fields)}."
            raise UsageError(f"--read {text!r}: there is no {part.strip()!r}.", hint)
        values[key] = [item for item in value.split("|") if item] if key == "text" else value
    try:
        return Reading.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            f"--read {text!r}: {first['loc'][0]} cannot be {first['input']!r}: {str(first['msg']).lower()}.",
            "The help page 'data' lists what can be said.",
        ) from None


def parse_split(text: str) -> dict[str, Part]:
    """Read ``NAME=SHARE,NAME=SHARE``: parts that have no sample in common.

    Raises
    ------
    UsageError
        When shares are no numbers above 0, or together more than 1.
    """
    parts: dict[str, Part] = {}
    start = 0.0
    for piece in filter(None, text.split(",")):
        name, _, share = (item.strip() for item in piece.partition("="))
        try:
            size = float(share)
        except ValueError:
            size = 0.0
        if not name or name in parts or not 0 < size <= 1 or start + size > 1 + 1e-9:
            raise UsageError(
                f"--split {text!r}: {piece.strip()!r} is no name with a share that is left.",
                "Write --split calibration=0.2,evaluation=0.8: shares above 0, together at most 1.",
            )
        parts[name] = Part(name=name, start=start, end=min(1.0, start + size))
        start = parts[name].end
    return parts


def described(
    path: Path,
    folder: Path,
    *,
    preprocess: Preprocessing | None = None,
    reading: Reading | None = None,
    part: Part | None = None,
) -> Path:
    """Give a path that stands for data with how it is read: the path itself when nothing is said.

    Parameters
    ----------
    path
        Data, or a description of some, which what is said is added to.
    folder
        Where the description is written, under a name of its content.

    Raises
    ------
    DataError
        When `path` is a description that is not valid.
    """
    if preprocess is None and reading in (None, Reading()) and part is None:
        return path
    base = read_source(path) if is_source(path) else Source(path=path.absolute())
    changes = {"preprocess": preprocess, "reading": reading if reading != Reading() else None, "part": part}
    source = base.model_copy(update={name: value for name, value in changes.items() if value is not None})
    text = source_toml(source)
    target = folder / f"{source.path.stem}-{digest(text)[:16]}{SUFFIX}"
    if not target.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(target, text)
    return target


def is_source(path: Path) -> bool:
    """Say whether a path is a description of data."""
    return path.name.endswith(SUFFIX) and path.is_file()


def source_toml(source: Source) -> str:
    """Write a description; reading it gives an equal source."""
    import tomli_w

    table: dict[str, Any] = {"path": str(source.path)}
    if source.preprocess is not None:
        table["preprocess"] = preprocessing_text(source.preprocess)
    reading = source.reading.model_dump(mode="json", exclude_defaults=True)
    if reading:
        table["read"] = reading
    if source.part is not None:
        table["part"] = source.part.model_dump()
    return tomli_w.dumps(table)


def read_source(path: Path) -> Source:
    """Read a description; paths in it are relative to it.

    Raises
    ------
    DataError
        When it is not one.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        found = Source.model_validate(_values(table))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path.name} is not valid TOML: {error}.", "Mend the line it names.") from None
    except UsageError as error:
        raise DataError(f"{path.name}: {error.message}", error.hint) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(item) for item in first["loc"])
        raise DataError(
            f"{path.name} does not describe data: {where}: {str(first['msg']).lower()}.",
            "Write path, and where needed preprocess, [read] and [part].",
        ) from None
    return _beside(found, path.parent)


def _values(table: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(table)
    if isinstance(given.get("preprocess"), str):
        given["preprocess"] = parse_preprocessing(given["preprocess"])
    if "read" in given:
        given["reading"] = given.pop("read")
    return given


def _beside(source: Source, folder: Path) -> Source:
    reading = source.reading
    if reading.tokenizer is not None:
        reading = reading.model_copy(update={"tokenizer": folder / reading.tokenizer})
    return source.model_copy(update={"path": folder / source.path, "reading": reading})
