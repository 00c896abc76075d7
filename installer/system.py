"""System libraries that Qt needs on Linux: which are missing, and how to get them through apt."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from installer.console import Problem, Step, follow
from installer.diagnosis import explain

# What the loader or the PATH must find -> the Debian packages that have it. Where names differ between releases
# (Debian 13 and Ubuntu 24.04 renamed those with a 64-bit time), the first one that apt knows is taken.
OFFSCREEN: Mapping[str, tuple[str, ...]] = {
    "libEGL.so.1": ("libegl1",),
    "libGL.so.1": ("libgl1",),
    "libfontconfig.so.1": ("libfontconfig1",),
    "libglib-2.0.so.0": ("libglib2.0-0t64", "libglib2.0-0"),
    "libdbus-1.so.3": ("libdbus-1-3",),
    "libxkbcommon.so.0": ("libxkbcommon0",),
}
WINDOW: Mapping[str, tuple[str, ...]] = {
    "libX11-xcb.so.1": ("libx11-xcb1",),
    "libxcb-cursor.so.0": ("libxcb-cursor0",),
    "libxcb-icccm.so.4": ("libxcb-icccm4",),
    "libxcb-image.so.0": ("libxcb-image0",),
    "libxcb-keysyms.so.1": ("libxcb-keysyms1",),
    "libxcb-randr.so.0": ("libxcb-randr0",),
    "libxcb-render-util.so.0": ("libxcb-render-util0",),
    "libxcb-shape.so.0": ("libxcb-shape0",),
    "libxcb-sync.so.1": ("libxcb-sync1",),
    "libxcb-xfixes.so.0": ("libxcb-xfixes0",),
    "libxcb-xkb.so.1": ("libxcb-xkb1",),
    "libxkbcommon-x11.so.0": ("libxkbcommon-x11-0",),
}
WAYLAND: Mapping[str, tuple[str, ...]] = {
    "libwayland-client.so.0": ("libwayland-client0",),
    "libwayland-cursor.so.0": ("libwayland-cursor0",),
    "libwayland-egl.so.1": ("libwayland-egl1",),
}
VIRTUAL_SCREEN: Mapping[str, tuple[str, ...]] = {"Xvfb": ("xvfb",), "xauth": ("xauth",)}

APT_OPTIONS = ("-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120")


@dataclass(frozen=True)
class Shortage:
    """What is missing after everything was tried.

    Parameters
    ----------
    names : tuple of str
        Libraries and programs.
    reason : str
        One sentence: what is missing.
    remedy : str
        What the user can do: mostly one command.
    """

    names: tuple[str, ...]
    reason: str
    remedy: str


def has_display() -> bool:
    """Whether a window can be opened here, as far as the environment tells."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def window_needs() -> Mapping[str, tuple[str, ...]]:
    """List what a window needs on the display at hand; without one, what it would need on X11."""
    wayland_only = os.environ.get("WAYLAND_DISPLAY") and not os.environ.get("DISPLAY")
    return {**OFFSCREEN, **(WAYLAND if wayland_only else WINDOW)}


def missing(names: Iterable[str]) -> tuple[str, ...]:
    """Those of the libraries and programs that are not here; none on Windows and macOS, where Qt brings its own."""
    if sys.platform in ("win32", "darwin"):
        return ()
    return tuple(name for name in names if not _present(name))


def _present(name: str) -> bool:
    if ".so" not in name:
        return shutil.which(name) is not None
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def has_apt() -> bool:
    """Whether this is Debian, Ubuntu or one of their family."""
    return shutil.which("apt-get") is not None and shutil.which("apt-cache") is not None


def privilege() -> tuple[str, ...] | None:
    """Find what to put before apt-get: nothing for root, sudo where it asks no password, None where neither holds.

    With BURNISH_NO_APT in the environment it is None: nothing is installed, the command is printed.
    """
    if os.environ.get("BURNISH_NO_APT"):
        return None
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return ()
    if not shutil.which("sudo"):
        return None
    asked = subprocess.run(["sudo", "-n", "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return ("sudo", "-n") if asked.returncode == 0 else None


def known(packages: Iterable[str]) -> set[str]:
    """Those of the packages that apt could install from the lists it has."""
    command = ["apt-cache", "policy", *packages]
    printed = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    ).stdout
    return set(re.findall(r"^(\S+):\n  Installed: .*\n  Candidate: (?!\(none\))", printed, re.MULTILINE))


def choose(wanted: Iterable[tuple[str, ...]]) -> list[str]:
    """For each need the name of its package in this release; the last one where apt knows none (yet)."""
    wanted = list(wanted)
    there = known(name for names in wanted for name in names)
    return [next((name for name in names if name in there), names[-1]) for names in wanted]


def command_for(packages: Iterable[str]) -> str:
    """Write the command that the user would type."""
    sudo = "sudo " if shutil.which("sudo") else ""
    typed = f"{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {' '.join(packages)}"
    return typed if sudo else f"as root: {typed}"


def apt_install(wanted: Iterable[tuple[str, ...]], title: str, prefix: tuple[str, ...]) -> None:
    """Install packages, refreshing apt's lists when they lack one of them or are out of date.

    Parameters
    ----------
    wanted : iterable of tuple of str
        For each need the possible package names.
    title : str
        Shown as the step.
    prefix : tuple of str
        As `privilege` gave it.

    Raises
    ------
    Problem
        When apt fails; the sentence says why.
    """
    wanted = list(wanted)
    apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "apt-get"]
    step = Step(title)

    def show(line: str) -> None:
        if line.startswith(("Get:", "Unpacking ", "Setting up ")):
            step.detail = line.strip()[:60]

    def install() -> tuple[int, str]:
        return follow(step, [*apt, "install", *APT_OPTIONS, *choose(wanted)], on_line=show)

    there = known(name for names in wanted for name in names)
    fresh = all(there.intersection(names) for names in wanted)
    status, output = install() if fresh else (1, "")
    if status != 0:
        updated, said = follow(step, [*apt, "update"], on_line=show)
        status, again = install()
        output = again + (said if updated != 0 or status != 0 else "")
    step.end("ok" if status == 0 else "FAILED")
    if status != 0:
        raise explain(output, "installing system packages")


def provide(needs: Mapping[str, tuple[str, ...]]) -> Shortage | None:
    """See to it that libraries and programs are here, installing them where that is allowed.

    Parameters
    ----------
    needs : mapping of str to tuple of str
        `OFFSCREEN`, `WINDOW`, `VIRTUAL_SCREEN` or a union of them.

    Returns
    -------
    Shortage or None
        None when all is here.
    """
    absent = missing(needs)
    if not absent:
        return None
    reason = f"Qt needs system libraries or programs that are missing: {summary(absent)}."
    if not has_apt():
        return Shortage(absent, reason, f"install what has these with this system's own tool: {' '.join(absent)}")
    prefix = privilege()
    if prefix is None:
        return Shortage(absent, reason, command_for(choose(needs[name] for name in absent)))
    try:
        apt_install([needs[name] for name in absent], "system libraries for Qt", prefix)
    except Problem as problem:
        command = command_for(choose(needs[name] for name in absent))
        return Shortage(absent, f"{reason[:-1]} ({problem.message[:-1]}).", f"{problem.remedy} Or by hand: {command}")
    absent = missing(needs)
    reason = f"apt finished, yet these are missing: {', '.join(absent)}."
    return Shortage(absent, reason, "install them by hand.") if absent else None


def summary(names: tuple[str, ...]) -> str:
    """Name the first few and count the rest."""
    first, rest = ", ".join(names[:4]), len(names) - 4
    return f"{first} and {rest} more" if rest > 0 else first
