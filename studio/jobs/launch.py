"""How a worker is started, and what it takes over from the process that starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import MutableMapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

#: carries the `Heritage` of a worker; the worker takes it out at once, so that nothing inherits it further
VARIABLE = "BURNISH_WORKER"


def worker_command() -> list[str]:
    """Build the command line of a worker: this interpreter, or this program when it is frozen."""
    if getattr(sys, "frozen", False):
        return [sys.executable, "worker"]
    # -P: a file named like a module in the current folder must not be imported in its place.
    return [sys.executable, "-P", "-m", "studio", "worker"]


@dataclass(frozen=True)
class Heritage:
    """What a worker takes over from its parent.

    Parameters
    ----------
    parent
        The parent's process id.
    lifeline
        Descriptor of `studio.jobs.lifeline`; -1 when there is none.
    python_path
        PYTHONPATH before it was changed for the worker; None when it was not set.
    sys_path
        The parent's module search path: tasks are looked up where the parent would find them.
    """

    parent: int = 0
    lifeline: int = -1
    python_path: str | None = None
    sys_path: list[str] = field(default_factory=list)

    def adopt(self) -> None:
        """Add the parent's module search path to this process's own."""
        sys.path.extend(entry for entry in self.sys_path if entry not in sys.path)


def environment(lifeline: int) -> dict[str, str]:
    """Build the environment of a worker: this process's, and its `Heritage`."""
    env = dict(os.environ)
    before = env.get("PYTHONPATH")
    search = [entry for entry in sys.path if entry]
    env[VARIABLE] = json.dumps(asdict(Heritage(os.getpid(), lifeline, before, search)))
    root = str(Path(__file__).resolve().parents[2])
    # Site-packages is found anyway, and in front of the standard library it could hide parts of that.
    if root not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        env["PYTHONPATH"] = os.pathsep.join([root, before] if before else [root])
    return env


def take_heritage(env: MutableMapping[str, str]) -> Heritage:
    """Take a worker's heritage out of its environment, and put PYTHONPATH back for what it starts itself."""
    text = env.pop(VARIABLE, "")
    if not text:
        return Heritage()
    heritage = Heritage(**json.loads(text))
    env.pop("PYTHONPATH", None)
    if heritage.python_path is not None:
        env["PYTHONPATH"] = heritage.python_path
    return heritage


def isolation(lifeline: int) -> dict[str, Any]:
    """Options of `subprocess.Popen` that put the worker in a group of its own, away from the terminal's Ctrl-C."""
    options: dict[str, Any]
    if sys.platform == "win32":
        options = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    else:
        options = {"start_new_session": True, "pass_fds": (lifeline,) if lifeline >= 0 else ()}
    return options
