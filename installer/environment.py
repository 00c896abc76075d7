"""The environment of a checkout: ``.venv``, filled from the lock file, and the stamp that says it is complete."""

import contextlib
import hashlib
import os
import re
import shutil
import sys
from pathlib import Path

from installer import bootstrap
from installer.console import Problem, Step, follow, say
from installer.diagnosis import explain

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "installer" / "requirements.lock"
PROJECT = ROOT / "pyproject.toml"
STAMP = VENV / "burnish-setup.txt"
LOG = VENV / "burnish-setup.log"

SCHEME = "1"  # To be raised when what setup does changes, so that every environment is made anew.
SPACE_GB = 2.0

# Only when it retries does pip say that the network is at fault.
PIP_OPTIONS = ("--no-input", "--progress-bar=off", "--no-warn-script-location", "--retries=3")


def program(name: str) -> Path:
    """Path of a program in the environment."""
    return VENV / ("Scripts" if os.name == "nt" else "bin") / (f"{name}.exe" if os.name == "nt" else name)


def kind() -> str:
    """Name what asks for a new environment when it changes: Python, the platform, the folder (scripts contain it)."""
    return f"{SCHEME} {sys.version_info[0]}.{sys.version_info[1]} {sys.platform} {VENV}"


def contents() -> str:
    """Digest of what the environment is filled from.

    Raises
    ------
    Problem
        When the checkout lacks one of the files.
    """
    digest = hashlib.sha256()
    for path in (LOCK, PROJECT):
        if not path.is_file():
            raise Problem(f"{path} is missing.", "restore it: git checkout -- installer pyproject.toml")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def stamp() -> tuple[str, str]:
    """Read what the environment was made as and filled from; two empty strings when it is not sound."""
    try:
        made, filled = STAMP.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return "", ""
    return made, filled


def is_ready() -> bool:
    """Whether there is nothing to do."""
    return stamp() == (kind(), contents()) and program("python").exists() and program("burnish").exists()


def ensure() -> None:
    """Make, repair or renew the environment where it is not ready.

    Raises
    ------
    Problem
        With the cause and a remedy; the next call goes on from there.
    """
    if not is_ready():
        ensure_venv()
        install_locked()
        install_project()
        write_stamp(contents())


def ensure_venv() -> None:
    """Make a sound environment with pip in it, unless there is one."""
    made, _ = stamp()
    if made == kind() and program("python").exists():
        return
    check_place()
    clear(unfinished=not made)
    bootstrap.make(VENV)
    write_stamp("nothing yet")


def check_place() -> None:
    """Raise a `Problem` when there is something to do and the checkout is no place to do it in."""
    if not is_ready():
        check_writable()
        if stamp()[0] != kind():
            check_space()


def check_writable() -> None:
    """Raise a `Problem` when ``.venv`` cannot be made."""
    try:
        VENV.mkdir(exist_ok=True)
        probe = VENV / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except FileExistsError:
        raise Problem(f"{VENV} is not a folder.", "move it away and repeat this command.") from None
    except OSError as error:
        if error.errno is not None and "space" in str(error.strerror).lower():
            raise explain(str(error), "making .venv") from None
        raise Problem(
            f"{VENV} cannot be written ({error.strerror}).",
            "copy the checkout to a folder of your own (or remove a .venv that belongs to someone else) and repeat.",
        ) from None


def check_space() -> None:
    """Raise a `Problem` when the disk cannot hold the packages."""
    free = shutil.disk_usage(VENV).free / 1e9
    if free < SPACE_GB:
        raise Problem(
            f"Only {free:.1f} GB are free where {ROOT} lies, and the packages take {SPACE_GB:.0f} GB.",
            "free some space, or move the checkout to another disk, and repeat this command.",
        )


def clear(*, unfinished: bool) -> None:
    """Empty ``.venv``: a half-made one, or one of another Python or another folder."""
    children = list(VENV.iterdir())
    if not children:
        return
    say("the .venv here is not sound: making it anew" if unfinished else "another Python or folder: new .venv")
    for child in children:
        try:
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
        except OSError as error:
            raise Problem(
                f"{child} cannot be removed ({error.strerror}).",
                f"end every program that runs from {VENV}, remove that folder and repeat this command.",
            ) from None


def pip(step: Step, *arguments: str | Path) -> None:
    """Run the environment's pip, showing which package it is at; the whole output goes to a log.

    Raises
    ------
    Problem
        When pip fails.
    """
    count = 0

    def show(line: str) -> None:
        nonlocal count
        if found := re.match(r"(?:Collecting|Processing|Requirement already satisfied:) (?:\S*/)?([\w.]+)", line):
            count += 1
            step.detail = f"{count}: {found[1]}"
        elif found := re.match(r"\s+Downloading (\S+) (\(.+\))", line):
            step.detail = f"{count}: {found[1].split('-')[0]} {found[2]}"
        elif line.startswith("Installing collected packages"):
            step.detail = f"unpacking {count} packages"
            STAMP.unlink(missing_ok=True)  # From here on an interruption leaves packages half installed.

    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET")}
    env |= {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONIOENCODING": "utf-8"}
    command = [program("python"), "-m", "pip", "install", *PIP_OPTIONS, *arguments]
    status, output = follow(step, command, env=env, cwd=ROOT, on_line=show)
    with contextlib.suppress(OSError), LOG.open("a", encoding="utf-8") as log:
        log.write(output)
    step.end("ok" if status == 0 else "FAILED")
    if status != 0:
        raise explain(output, step.title, LOG)


def install_locked() -> None:
    """Install exactly the packages of the lock file: prebuilt ones only, each checked against its hash."""
    pip(Step("installing the packages"), "--no-deps", "--only-binary=:all:", "--require-hashes", "-r", LOCK)


def install_project() -> None:
    """Install the checkout itself so that its files are used in place."""
    pip(Step("installing Burnish itself"), "--no-deps", "--no-build-isolation", "--no-index", "-e", ROOT)


def write_stamp(filled: str) -> None:
    """Say that the environment is sound and what it was filled from, in one atomic step."""
    fresh = STAMP.with_suffix(".new")
    fresh.write_text(f"{kind()}\n{filled}\n", encoding="utf-8")
    fresh.replace(STAMP)
