"""The lock file: in step with pyproject.toml, complete, hashed, and silent about where it was made."""

import re
import tomllib
from collections.abc import Iterator, Set
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "installer" / "requirements.lock").read_text(encoding="utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PYTHONS = ("3.11", "3.12", "3.13")
SYSTEMS = (("linux", "Linux"), ("win32", "Windows"), ("darwin", "Darwin"))


def locked() -> Iterator[tuple[Requirement, int]]:
    """Yield every pin with its number of hashes."""
    for block in re.split(r"\n(?=[a-zA-Z])", re.sub(r"^\s*#.*\n", "", LOCK, flags=re.MULTILINE)):
        yield Requirement(block.split("\\\n")[0].strip()), block.count("--hash=sha256:")


def wanted() -> list[str]:
    project = PROJECT["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["test"], *PROJECT["build-system"]["requires"]]


def pinned(name: str, python: str, system: tuple[str, str]) -> list[Version]:
    environment: dict[str, str | Set[str]] = {
        **{name: str(value) for name, value in default_environment().items()},
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": system[0],
        "platform_system": system[1],
    }
    return [
        Version(next(iter(pin.specifier)).version)
        for pin, _ in locked()
        if canonicalize_name(pin.name) == canonicalize_name(name)
        and (pin.marker is None or pin.marker.evaluate(environment))
    ]


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system[0])
@pytest.mark.parametrize("python", PYTHONS)
def test_every_dependency_has_exactly_one_satisfying_pin(python: str, system: tuple[str, str]) -> None:
    for text in wanted():
        requirement = Requirement(text)
        versions = pinned(requirement.name, python, system)
        assert len(versions) == 1, f"{text} has pins {versions}: run 'python3 installer/dev.py lock'"
        assert versions[0] in requirement.specifier, f"{text} is pinned to {versions[0]}"


def test_every_pin_is_exact_and_hashed() -> None:
    pins = list(locked())
    assert len(pins) > len(wanted())
    for pin, hashes in pins:
        assert [specifier.operator for specifier in pin.specifier] == ["=="], pin
        assert hashes > 0, pin


def test_the_lock_is_closed_under_the_requirements_of_what_is_installed() -> None:
    # Setup installs with --no-deps: a dependency that the lock lacks would be missing without a word.
    checked = 0
    here = (default_environment()["sys_platform"], default_environment()["platform_system"])
    python = default_environment()["python_version"]
    for pin, _ in locked():
        try:
            requires = metadata.requires(pin.name) or []
        except metadata.PackageNotFoundError:
            continue
        for text in requires:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                assert pinned(requirement.name, python, here), f"{pin.name} needs {text}"
                assert pinned(requirement.name, python, here)[0] in requirement.specifier
                checked += 1
    assert checked > 10


def test_only_pins_hashes_and_comments() -> None:
    for line in LOCK.splitlines():
        assert re.match(r"#|\s+# via|\s+#   |[a-zA-Z0-9]|    --hash=sha256:[0-9a-f]{64}( \\)?$", line), line
    assert "python3 installer/dev.py lock" in LOCK.splitlines()[1]
    assert not re.search(r"--(extra-)?(index-url|find-links|trusted-host)|://|file:|@ ", LOCK)


def test_supported_pythons_are_those_of_the_project() -> None:
    allowed = Requirement(f"python{PROJECT['project']['requires-python']}").specifier
    assert [minor for minor in range(30) if f"3.{minor}.0" in allowed] == [int(python[2:]) for python in PYTHONS]
    assert Marker(f"python_version >= '{PYTHONS[0]}'").evaluate()
