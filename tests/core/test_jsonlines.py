from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from studio.core.errors import StoreError
from studio.core.frozen import Frozen
from studio.core.jsonlines import JsonLines

ROOT = Path(__file__).parents[2]


class Fact(Frozen):
    name: str
    values: tuple[float, ...] = ()


def lines(folder: Path, schema: int = 1, **migrations: Any) -> JsonLines[Fact]:
    return JsonLines(folder / "facts.jsonl", Fact, schema, migrations.get("migrations", {}))


def facts(count: int) -> list[Fact]:
    return [Fact(name=f"é {index}\n", values=(index, float("inf"))) for index in range(count)]


def test_facts_come_back_in_order(tmp_path: Path) -> None:
    log = lines(tmp_path)
    assert log.read() == ((), ())
    assert log.repair() == ""
    log.append(facts(2))
    log.append([])
    log.append(facts(1))
    assert log.read() == ((*facts(2), *facts(1)), ())
    assert log.path.read_bytes().count(b"\n") == 3
    assert log.path.read_bytes().startswith(b'{"schema_version":1,"name":')


def test_every_way_a_last_line_can_be_torn(tmp_path: Path) -> None:
    log = lines(tmp_path)
    log.append(facts(2))
    whole = log.path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole) + 1):
        log.path.write_bytes(whole[:length])
        complete = length in (first, len(whole) - 1, len(whole))
        kept = tuple(facts(1 if length < len(whole) - 1 else 2))
        found, problems = log.read()
        assert found == kept
        assert problems == (() if complete else (TORN,))
        assert log.repair() == ("" if complete else TORN)
        assert log.read() == (kept, ())
        log.append(facts(1))
        assert log.read() == ((*kept, *facts(1)), ())


TORN = "The last line of facts.jsonl was unfinished, as after a crash, and was left out."


def test_a_tail_longer_than_what_is_read_at_once(tmp_path: Path) -> None:
    log = lines(tmp_path)
    log.append(facts(1))
    whole = log.path.read_bytes()
    log.path.write_bytes(whole + b'{"name": "' + b"x" * 200_000)
    assert log.repair() == TORN
    assert log.path.read_bytes() == whole
    log.path.write_bytes(b"\0" * 200_000)
    assert log.repair() == TORN
    assert log.path.read_bytes() == b""


def test_damaged_lines_are_left_out_and_named(tmp_path: Path) -> None:
    log = lines(tmp_path)
    log.append(facts(1))
    good = log.path.read_bytes()
    wrong = [b"[]\n", b"{\n", b"\xff\n", b'{"schema_version":1,"nome":"x"}\n', b'{"name":"x"}\n']
    newer = b'{"schema_version":2,"name":"x"}\n'
    log.path.write_bytes(good + b"".join(wrong) + newer + good)
    found, problems = log.read()
    assert found == tuple(facts(1) * 2)
    assert [problem.split(" of ")[0] for problem in problems] == [f"Line {number}" for number in range(2, 8)]
    assert "newer Burnish" in problems[-1]


def test_older_lines_are_migrated_one_by_one(tmp_path: Path) -> None:
    def rename(document: dict[str, Any]) -> dict[str, Any]:
        return {"name": document["title"]}

    log = lines(tmp_path, schema=2, migrations={1: rename})
    log.path.write_text('{"schema_version":1,"title":"old"}\n')
    log.append([Fact(name="new")])
    assert log.read() == ((Fact(name="old"), Fact(name="new")), ())


@pytest.mark.parametrize("step", ["open", "write", "fsync"])
def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    log = lines(tmp_path)
    log.append(facts(1))
    before = log.path.read_bytes()
    real, calls = os.write, iter(range(1000))

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def half(descriptor: int, data: bytes) -> int:
        return real(descriptor, data[:5]) if next(calls) == 0 else full()

    with monkeypatch.context() as patch:
        patch.setattr(os, step, half if step == "write" else full)
        with pytest.raises(StoreError, match="the disk is full"):
            log.append(facts(3))
    assert log.path.read_bytes() == before


WRITER = """
import sys
from pathlib import Path
from studio.core.jsonlines import JsonLines
from tests.core.test_jsonlines import Fact
log = JsonLines(Path(sys.argv[1]), Fact, 1, {})
for index in range(100):
    log.append([Fact(name=f"{sys.argv[2]} {index}", values=(1.0,) * 500)])
"""


def test_processes_that_append_at_once(tmp_path: Path) -> None:
    log = lines(tmp_path)
    children = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(log.path), name], cwd=ROOT, stderr=subprocess.PIPE)
        for name in "ab"
    ]
    assert [(child.communicate()[1], child.returncode) for child in children] == [(b"", 0)] * 2
    found, problems = log.read()
    assert problems == ()
    for name in "ab":
        assert [fact.name for fact in found if fact.name[0] == name] == [f"{name} {index}" for index in range(100)]
