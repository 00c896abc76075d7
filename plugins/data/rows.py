"""Reading the lines of `.csv` and `.jsonl` files, one after the other."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from studio.api import DataError, LabelKind

#: number of the line, column to value
Row = tuple[int, Mapping[str, Any]]
LABEL = "label"


def read_rows(path: Path) -> Iterator[Row]:
    """Read a file's lines.

    Raises
    ------
    DataError
        For a line that is not valid, with its number.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield from _json_rows(path, stream) if path.suffix.lower() == ".jsonl" else _csv_rows(path, stream)
    except UnicodeDecodeError:
        raise DataError(f"{path.name} is not text in UTF-8.", "Save it as UTF-8.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from None


def _csv_rows(path: Path, stream: Any) -> Iterator[Row]:
    reader = csv.DictReader(stream, strict=True)
    try:
        for row in reader:
            yield reader.line_num, {key: value for key, value in row.items() if key is not None}
    except csv.Error as error:
        raise DataError(f"Line {reader.line_num} of {path.name} is not valid CSV: {error}.", "Mend it.") from None


def _json_rows(path: Path, stream: Any) -> Iterator[Row]:
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"Line {number} of {path.name} is not valid JSON: {error}.", "Mend it.") from None
        if not isinstance(row, dict):
            raise DataError(f"Line {number} of {path.name} is not an object.", 'Write {"path": ..., "label": ...}.')
        yield number, row


class RowLabels:
    """What the labels of a manifest are, found out from its first line unless it is said.

    Class indices are whole numbers; several classes a list of them (``1|4`` in a `.csv`); numbers to
    predict have a fraction somewhere, or are lists of such; other labels are text only where it is said.
    """

    def __init__(self, path: Path, column: str = "", kind: LabelKind | None = None) -> None:
        self.column = column or LABEL
        self.classes = 0
        self._named = bool(column)
        self._path = path
        self._said = kind
        self._seen: bool | None = None
        self._kinds: set[LabelKind] = set()

    @property
    def kind(self) -> LabelKind:
        """What they are, once all lines were read: whole numbers among fractions are fractions too."""
        if self._said is not None:
            return self._said
        return "target" if "target" in self._kinds else "multilabel" if "multilabel" in self._kinds else "class"

    def read(self, line: int, row: Mapping[str, Any]) -> Any:
        """Give the label of a line; None where there is none.

        Raises
        ------
        DataError
            When it is no label, or only some lines have one.
        """
        value = row.get(self.column)
        label = None if value is None or value == "" else self._parsed(line, value)
        if label is None and self._named:
            raise DataError(
                f"Line {line} of {self._path.name} has no {self.column!r}.", f"Its columns are: {', '.join(row)}."
            )
        if self._seen is not None and self._seen != (label is not None):
            raise DataError(
                f"Some lines of {self._path.name} have a label and others none, such as line {line}.",
                "Label all samples or none.",
            )
        self._seen = label is not None
        return label

    def _parsed(self, line: int, value: Any) -> Any:
        if self._said == "text":
            return str(value)
        many = isinstance(value, list) or (isinstance(value, str) and "|" in value)
        if many or self._said == "multilabel":
            return self._several(line, value)
        number = _number(value)
        if number is None or (self._said == "class" and not isinstance(number, int)):
            raise self._no_label(line, value)
        self._kinds.add("class" if isinstance(number, int) else "target")
        return number

    def _several(self, line: int, value: Any) -> Any:
        parts = value if isinstance(value, list) else [part for part in str(value).split("|") if part.strip()]
        numbers = [_number(part) for part in parts]
        if any(number is None for number in numbers):
            raise self._no_label(line, value)
        whole = all(isinstance(number, int) and number >= 0 for number in numbers)
        if self._said == "target" or not whole:
            self._kinds.add("target")
            return numbers
        self._kinds.add("multilabel")
        self.classes = max([self.classes, *(int(number) + 1 for number in numbers if number is not None)])
        return numbers

    def _no_label(self, line: int, value: Any) -> DataError:
        return DataError(
            f"Line {line} of {self._path.name} has the label {value!r}, which is no class index.",
            "Number the classes from 0, as the model does; or say --read labels=text or labels=target.",
        )


def _number(value: Any) -> int | float | None:
    """Read a whole or finite number."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
        return int(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
