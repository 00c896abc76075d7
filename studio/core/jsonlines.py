"""Facts appended to a file, one JSON document a line; a line torn by a crash costs that line only."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError

from studio.core.atomic import explained, sync, sync_folder, write_all
from studio.core.errors import StoreError
from studio.core.frozen import Frozen
from studio.core.migrations import Migrations, migrate

Fact = TypeVar("Fact", bound=Frozen)

_TAIL = 1 << 16


@dataclass(frozen=True)
class JsonLines(Generic[Fact]):
    """An append-only file of facts of one kind.

    Attributes
    ----------
    path
        The file; need not exist.
    kind
        What a line holds.
    schema
        Version written with each line, so that lines of several versions can stand in one file.
    migrations
        How older lines become lines of this version.
    """

    path: Path
    kind: type[Fact]
    schema: int
    migrations: Migrations

    def append(self, facts: Iterable[Fact]) -> None:
        """Add facts and flush them to the disk.

        Raises
        ------
        StoreError
            When it cannot be written, such as on a full disk; the file is then as it was.
        """
        text = "".join(self._line(fact) for fact in facts)
        with explained(self.path):
            new = not self.path.exists()
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
            try:
                _append_all(descriptor, text.encode())
            finally:
                os.close(descriptor)
            if new:
                sync_folder(self.path.parent)

    def read(self) -> tuple[tuple[Fact, ...], tuple[str, ...]]:
        """Read all facts in the order in which they were added.

        Returns
        -------
        facts
            Those that can be read.
        problems
            One sentence for each line that was left out.

        Raises
        ------
        StoreError
            When the file cannot be opened.
        """
        facts: list[Fact] = []
        problems: list[str] = []
        if not self.path.exists():
            return (), ()
        with explained(self.path, "read"), self.path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                try:
                    facts.append(self._parse(line))
                except (ValueError, StoreError) as error:
                    problems.append(self._problem(number, line, error))
        return tuple(facts), tuple(problems)

    def repair(self) -> str:
        """Cut off a last line that a crash left unfinished, so that the next one starts afresh.

        Returns
        -------
        str
            A sentence that says so; empty when nothing was lost.

        Raises
        ------
        StoreError
            When the file cannot be written.
        """
        if not self.path.exists():
            return ""
        with explained(self.path), self.path.open("r+b") as stream:
            size = stream.seek(0, os.SEEK_END)
            start = _last_line_start(self.path, size)
            if start == size:
                return ""
            stream.seek(start)
            if self._complete(stream.read()):
                stream.write(b"\n")
                return ""
            stream.truncate(start)
            return _torn(self.path.name)

    def _line(self, fact: Fact) -> str:
        return f'{{"schema_version":{self.schema},{fact.model_dump_json(by_alias=True)[1:]}\n'

    def _parse(self, line: bytes) -> Fact:
        document = json.loads(line)
        if not isinstance(document, dict):
            raise ValueError("not an object")
        current = migrate(document, self.migrations, self.schema, what=f"A line of {self.path.name}")
        current.pop("schema_version")
        return self.kind.model_validate(current)

    def _complete(self, line: bytes) -> bool:
        try:
            self._parse(line)
        except (ValueError, StoreError):
            return False
        return True

    def _problem(self, number: int, line: bytes, error: ValueError | StoreError) -> str:
        if not line.endswith(b"\n"):
            return _torn(self.path.name)
        if isinstance(error, StoreError):
            return f"Line {number} of {self.path.name} was left out: {error}"
        reason = "it does not hold what it should" if isinstance(error, ValidationError) else "it is not JSON"
        return f"Line {number} of {self.path.name} was left out: {reason}."


def _append_all(descriptor: int, data: bytes) -> None:
    """Write to the end of a file, or leave it as it was."""
    before = os.fstat(descriptor).st_size
    try:
        write_all(descriptor, data)
        sync(descriptor)
    except OSError:
        # Where even this fails, the next opening cuts the torn line off.
        with suppress(OSError):
            os.ftruncate(descriptor, before)
        raise


def _last_line_start(path: Path, size: int) -> int:
    """Offset behind the last line end; searched backwards, since the file may be large."""
    with path.open("rb") as stream:
        end = size
        while end > 0:
            begin = max(0, end - _TAIL)
            stream.seek(begin)
            found = stream.read(end - begin).rfind(b"\n")
            if found >= 0:
                return begin + found + 1
            end = begin
    return 0


def _torn(name: str) -> str:
    return f"The last line of {name} was unfinished, as after a crash, and was left out."
