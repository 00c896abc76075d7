"""Does a piece of work once for each call of the system in it, killing itself there.

Run as ``python -m tests.core.killed WORK TEMPLATE OUT``: copies TEMPLATE to OUT/0, OUT/1, ... and in a
forked child does WORK on the copy; the child kills itself before the n-th call that changes the disk.
For every write it also dies after writing half. Ends with the first copy on which the work completes,
and prints one JSON line a copy: its folder, the call it died at, and how.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from studio.core.store import ProjectStore
from tests.core.values import artifact, external_artifact, measurement, project, record, with_variant

CALLS = ("open", "write", "fsync", "replace", "rename", "mkdir", "chmod", "ftruncate", "unlink", "rmdir", "utime")
LIMIT = 300


def create(folder: Path) -> None:
    """Make a project; the template is only where its source lies."""
    source = external_artifact(folder / "in")
    arm()
    ProjectStore.create(folder / "net.burnish", project(source), source).close()


def save(folder: Path) -> None:
    """Save another document."""
    store = ProjectStore.open(folder / "net.burnish")
    changed = store.load().model_copy(update={"name": "changed"})
    arm()
    store.save(changed)


def add(folder: Path) -> None:
    """Store a model, move it in, and save a document with it."""
    store = ProjectStore.open(folder / "net.burnish")
    made = external_artifact(folder / "in", 1)
    arm()
    store.save(with_variant(store.load(), store.blobs.put(made, move=True)))


def append(folder: Path) -> None:
    """Add three facts."""
    store = ProjectStore.open(folder / "net.burnish")
    arm()
    store.append_measurements([measurement(name) for name in "bcd"])


def cache(folder: Path) -> None:
    """Keep a step's result."""
    store = ProjectStore.open(folder / "net.burnish")
    source, made = artifact(folder / "in"), artifact(folder / "in", 2)
    arm()
    store.steps.put(source.sha256, "step", "", record(source, made))


def collect(folder: Path) -> None:
    """Remove models that nothing refers to."""
    store = ProjectStore.open(folder / "net.burnish")
    for seed in (3, 4):
        store.blobs.put(external_artifact(folder / "in", seed))
    arm()
    store.collect()


def reopen(folder: Path) -> None:
    """Open after a crash that left temporaries and a torn line."""
    arm()
    ProjectStore.open(folder / "net.burnish").close()


WORKS: dict[str, Callable[[Path], None]] = {
    work.__name__: work for work in (create, save, add, append, cache, collect, reopen)
}

arm: Callable[[], None]


def main(work: str, template: Path, out: Path) -> None:
    """Die at every call in turn."""
    index = 0
    for how in ("before", "half"):
        for call in range(LIMIT):
            folder = out / str(index)
            shutil.copytree(template, folder, symlinks=True)
            died_at = fork(work, folder, call, how)
            print(json.dumps({"folder": str(folder), "at": died_at, "how": how}), flush=True)
            index += 1
            if not died_at:
                break
        else:
            raise SystemExit(f"{work} does not end within {LIMIT} calls")


def fork(work: str, folder: Path, call: int, how: str) -> str:
    """Do the work in a child; gives the name of the call it died at, empty when it completed."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        define_arm(call, how, write)
        try:
            WORKS[work](folder)
        except BaseException as error:
            os.write(2, f"{work} failed: {error!r}\n".encode())
            os._exit(3)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as stream:
        name = stream.read()
    status = os.waitpid(child, 0)[1]
    if name:
        assert os.WIFSIGNALED(status)
        assert os.WTERMSIG(status) == signal.SIGKILL
    elif status:
        raise SystemExit(f"{work} failed by itself")
    return name


def define_arm(call: int, how: str, report: int) -> None:
    """Make `arm` replace the calls by ones that count, and die at the given one."""
    count = iter(range(LIMIT + 1))
    real_write = os.write

    def die(name: str) -> None:
        real_write(report, name.encode())
        os.kill(os.getpid(), signal.SIGKILL)

    def counting(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **named: Any) -> Any:
            if how == "before" and next(count) == call:
                die(name)
            if how == "half" and name == "write" and next(count) == call:
                real(args[0], args[1][: len(args[1]) // 2])
                die(name)
            return real(*args, **named)

        return wrapped

    def replace_calls() -> None:
        for name in CALLS:
            setattr(os, name, counting(name, getattr(os, name)))

    global arm
    arm = replace_calls


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
