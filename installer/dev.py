#!/usr/bin/env python3
"""Prepare, run and test this checkout: ``python3 installer/dev.py setup | run | test | lock``.

It needs nothing but Python. This file keeps to what Python 3.6 can read, so that an old Python is told what is
missing, or replaced by a newer one from the PATH; the rest of the folder is imported after that check.
"""

import sys

INCOMPLETE = """\
error: this Python comes without a part of its standard library ({}).
  what to do: install the whole of Python (on Debian and Ubuntu: sudo apt-get install python3) and repeat."""

try:
    import os
    import re
    import shutil
    import subprocess
    from pathlib import Path
except ImportError as error:
    sys.exit(INCOMPLETE.format(error))

ROOT = Path(__file__).resolve().parent.parent
RESTARTED = "BURNISH_DEV_RESTARTED"


def supported_minors() -> range:
    """Minor versions of Python 3 that ``requires-python`` in pyproject.toml allows."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^requires-python = ">=3\.(\d+),<3\.(\d+)"$', text, re.MULTILINE)
    return range(int(found.group(1)), int(found.group(2))) if found else range(sys.version_info[1], 99)


def succeeds(command: "list[str]") -> bool:
    """Whether a program is there and ends well."""
    try:
        return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def is_python(command: "list[str]", minor: int) -> bool:
    """Whether `command` starts a Python 3.`minor` (a name on the PATH may be a broken shim)."""
    return succeeds([*command, "-c", f"import sys; sys.exit(sys.version_info[:2] != (3, {minor}))"])


def other_python(minors: range) -> "list[str]":
    """Command of a supported interpreter on the PATH, the newest first; empty when there is none."""
    for minor in reversed(minors):
        for name, option in ((f"python3.{minor}", ""), ("py", f"-3.{minor}")):
            program = shutil.which(name)
            command = [program, option] if program and option else [program] if program else []
            if command and is_python(command, minor):
                return command
    return []


def base_python() -> "list[str]":
    """Command of the interpreter that made ``.venv``, when this one lives in it: it may have to be made anew."""
    venv = ROOT / ".venv"
    if not (venv / "pyvenv.cfg").is_file() or not venv.samefile(sys.prefix):
        return []
    lines = (venv / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    settings = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    program = settings.get("executable", "")
    return [program] if program and Path(program).exists() else []


def restart(command: "list[str]") -> int:
    """Hand over to another interpreter; returns its exit status where a process cannot be replaced."""
    os.environ[RESTARTED] = "1"
    command = [*command, str(Path(__file__).resolve()), *sys.argv[1:]]
    sys.stdout.flush()
    if os.name == "posix":
        os.execv(command[0], command)
    return subprocess.call(command)


def complain(message: str, remedy: str, status: int = 1) -> int:
    """Say what is wrong and what to do about it; returns the exit status."""
    print(f"error: {message}\n  what to do: {remedy}", file=sys.stderr)
    return status


def wrong_version(minors: range) -> int:
    """Say which Python is needed."""
    newest = minors[-1]
    offered = [minor for minor in reversed(minors) if succeeds(["apt-cache", "show", f"python3.{minor}"])]
    by_apt = f": sudo apt-get install python3.{offered[0]} python3.{offered[0]}-venv" if offered else "."
    have = ".".join(str(part) for part in sys.version_info[:3])
    message = f"Burnish needs Python 3.{minors[0]} to 3.{newest}, and this is Python {have}."
    return complain(message, f"install Python 3.{offered[0] if offered else newest} and repeat this command{by_apt}")


def main() -> int:
    """Check the interpreter, then do what the command line says."""
    minors = supported_minors()
    supported = sys.version_info[0] == 3 and sys.version_info[1] in minors
    if os.environ.pop(RESTARTED, "") != "1":
        better = base_python() if supported else other_python(minors)
        if better:
            return restart(better)
    if not supported:
        return wrong_version(minors)
    sys.path.insert(0, str(ROOT))
    try:
        from installer.commands import main as run
    except ImportError as error:
        sys.exit(INCOMPLETE.format(error))
    return run(sys.argv[1:])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(complain("stopped.", "repeat the command; it goes on from here.", status=130))
