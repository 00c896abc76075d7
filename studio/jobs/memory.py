"""How much memory is left for this process tree, and what a job may have of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

MB = 1_000_000

Admission = Literal["start", "wait", "refuse"]


@dataclass(frozen=True)
class Memory:
    """Bytes: what this process tree may use in all, and what of that is free or can be freed by the system."""

    total: int
    available: int

    def floor(self) -> int:
        """Return the bytes that must stay free.

        5 % of the total, between 300 MB and 1 GB; of a small machine or container 10 %.
        """
        return min(max(self.total // 20, 300 * MB), 1000 * MB, self.total // 10)


@dataclass(frozen=True)
class Claim:
    """What a running job said it needs, and what its worker uses now (bytes)."""

    estimate: int
    used: int


def read_memory(root: Path = Path("/")) -> Memory:
    """Read the machine's memory, or what the control groups (version 1 or 2) leave of it.

    Parameters
    ----------
    root
        Where ``proc`` and ``sys`` are.
    """
    machine = psutil.virtual_memory()
    total, available = int(machine.total), int(machine.available)
    for limit, used in _group_limits(root):
        total, available = min(total, limit), min(available, limit - used)
    return Memory(total, max(0, available))


def admit(need: int, running: Sequence[Claim], idle: int, memory: Memory) -> Admission:
    """Decide whether a job may start.

    Parameters
    ----------
    need
        Its estimate, in bytes.
    running
        The jobs that run now.
    idle
        Bytes that idle workers hold.
    memory
        The state of the machine.

    Returns
    -------
    Admission
        "start"; "wait" when it fits once others have ended; "refuse" when it never does.
    """
    promised = sum(max(0, claim.estimate - claim.used) for claim in running)
    if need <= memory.available - promised:
        return "start"
    if need <= memory.available + idle + sum(claim.used for claim in running) and (running or idle):
        return "wait"
    return "refuse"


def _group_limits(root: Path) -> Iterator[tuple[int, int]]:
    """Yield limit and use, in bytes, of every control group that this process is in."""
    with suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                yield from _climb(root / "sys/fs/cgroup", path, ("memory.max", "memory.high"), "memory.current", "")
            elif "memory" in controllers.split(","):
                mount = root / "sys/fs/cgroup/memory"
                yield from _climb(mount, path, ("memory.limit_in_bytes",), "memory.usage_in_bytes", "total_")


def _climb(mount: Path, path: str, limits: Sequence[str], current: str, prefix: str) -> Iterator[tuple[int, int]]:
    # A limit of any ancestor binds. In a container the path may be the host's, of which only the mount itself exists.
    folder = mount / path.lstrip("/")
    for place in (folder, *folder.parents):
        with suppress(OSError, ValueError):
            yield _limit(place, limits), _used(place, current, prefix)
        if place == mount:
            return


def _limit(folder: Path, names: Sequence[str]) -> int:
    """Return the lowest limit; ValueError when there is none ("max")."""
    found = [(folder / name).read_text().strip() for name in names if (folder / name).exists()]
    return min(int(text) for text in found if text != "max")


def _used(folder: Path, current: str, prefix: str) -> int:
    """Return the memory in use without the file cache that the system takes back first."""
    used = int((folder / current).read_text())
    for line in (folder / "memory.stat").read_text().splitlines():
        if line.startswith(f"{prefix}inactive_file "):
            used -= int(line.split()[1])
    return max(0, used)
