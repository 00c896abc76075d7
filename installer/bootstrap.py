"""Make a virtual environment with pip in it, also where Python comes without ensurepip: on a bare Debian."""

import importlib.util
import os
import sys
import tempfile
from pathlib import Path

from installer import system
from installer.console import Problem, Step, follow
from installer.diagnosis import explain

PIP_WHEEL_PACKAGE = "python3-pip-whl"


def make(folder: Path) -> None:
    """Make a virtual environment in an empty or missing folder.

    Raises
    ------
    Problem
        When no way to get pip is left, or the folder cannot be written.
    """
    if has_ensurepip():
        plain(folder)
        return
    prefix = system.privilege() if system.has_apt() else None
    if prefix is not None and is_distributions_own():
        system.apt_install([venv_packages()], "venv for Python", prefix)
        plain(folder)
    elif system.has_apt():
        with tempfile.TemporaryDirectory(prefix="burnish-") as scratch:
            from_wheel(folder, fetch_wheel(Path(scratch)))
    else:
        raise Problem(
            "This Python comes without pip (its module ensurepip is missing).",
            "install the package of your system that adds pip and venv to Python, and repeat this command.",
        )


def has_ensurepip() -> bool:
    """Whether this Python can put pip into a new environment."""
    return importlib.util.find_spec("ensurepip") is not None


def is_distributions_own() -> bool:
    """Whether this Python is one that apt installed, to which an apt package can add what is missing."""
    return Path(sys.executable).resolve().parent in (Path("/usr/bin"), Path("/bin"))


def venv_packages() -> tuple[str, ...]:
    """Names of the Debian package that adds ensurepip to this Python."""
    return (f"python3.{sys.version_info[1]}-venv", "python3-venv")


def plain(folder: Path) -> None:
    """Make the environment the ordinary way."""
    step = Step("environment .venv")
    status, output = follow(step, [sys.executable, "-m", "venv", folder])
    step.end("ok" if status == 0 else "FAILED")
    if status != 0:
        raise explain(output, "making .venv")


def fetch_wheel(scratch: Path) -> Path:
    """Get the wheel of pip out of its Debian package, which needs no privilege.

    Parameters
    ----------
    scratch : Path
        An empty folder.

    Returns
    -------
    Path
        The wheel, inside `scratch`.
    """
    step = Step("pip from its Debian package")
    options = () if system.known([PIP_WHEEL_PACKAGE]) else _own_lists(scratch)
    output = ""
    if options:
        _, output = follow(step, ["apt-get", *options, "update"])
    _, said = follow(step, ["apt-get", *options, "download", PIP_WHEEL_PACKAGE], cwd=scratch)
    output += said
    for package in scratch.glob("*.deb"):
        _, said = follow(step, ["dpkg-deb", "-x", package, scratch / "files"])
        output += said
    wheel = next((scratch / "files").glob("usr/share/python-wheels/pip-*.whl"), None)
    step.end("ok" if wheel else "FAILED")
    if wheel is None:
        cause = explain(output, "fetching pip")
        command = system.command_for(system.choose([venv_packages()]))
        raise Problem(f"This Python comes without pip, and {cause.message}", f"{cause.remedy} Or by hand: {command}")
    return wheel


def _own_lists(scratch: Path) -> tuple[str, ...]:
    """Give the options that make apt-get keep lists in a folder of ours: there are none, and only root may add them."""
    for name in ("lists/partial", "cache/archives/partial"):
        (scratch / name).mkdir(parents=True)
    return ("-o", f"Dir::State::Lists={scratch / 'lists'}", "-o", f"Dir::Cache={scratch / 'cache'}")


def from_wheel(folder: Path, wheel: Path) -> None:
    """Make the environment without pip, then let pip's own wheel install itself into it."""
    step = Step("environment .venv")
    status, output = follow(step, [sys.executable, "-m", "venv", "--without-pip", folder])
    if status == 0:
        install = ("install", "--no-index", "--no-deps")
        command: list[str | Path] = [folder / "bin" / "python", wheel / "pip", *install, wheel]
        env = {**os.environ, "PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        status, output = follow(step, command, env=env)
    step.end("ok" if status == 0 else "FAILED")
    if status != 0:
        raise explain(output, "making .venv")
