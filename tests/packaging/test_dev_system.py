"""System libraries: what is missing, what it is called in this release, and who may install it."""

import os
import sys

import pytest

from installer import system
from tests.packaging.conftest import Fakes

NEEDS = {
    "libburnish-a.so.1": ("libglib2.0-0t64", "libglib2.0-0"),
    "burnish-absent-tool": ("xvfb",),
}
BOOKWORM = """cat <<END
libglib2.0-0:
  Installed: 2.74.6-2
  Candidate: 2.74.6-2
xvfb:
  Installed: (none)
  Candidate: 2:21.1.7-3
END"""
NOBLE = """cat <<END
libglib2.0-0t64:
  Installed: (none)
  Candidate: 2.80.0-6
libglib2.0-0:
  Installed: (none)
  Candidate: (none)
  Version table:
xvfb:
  Installed: (none)
  Candidate: 2:21.1.12-1
END"""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux needs system libraries")


def allow(monkeypatch: pytest.MonkeyPatch, prefix: tuple[str, ...] | None) -> None:
    monkeypatch.setattr(system, "privilege", lambda: prefix)


def appears_after_install(only_fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    real = system.missing
    monkeypatch.setattr(system, "missing", lambda names: () if only_fakes.calls("apt-get install") else real(names))


def test_what_is_here_is_not_missing() -> None:
    assert system.missing(["libc.so.6", "sh"]) == ()
    assert system.missing(NEEDS) == tuple(NEEDS)


@pytest.mark.parametrize(("policy", "glib"), [(BOOKWORM, "libglib2.0-0"), (NOBLE, "libglib2.0-0t64")])
def test_names_of_the_release(only_fakes: Fakes, policy: str, glib: str) -> None:
    only_fakes.add("apt-cache", policy)
    assert system.choose(NEEDS.values()) == [glib, "xvfb"]
    assert glib in system.choose(system.OFFSCREEN.values())


def test_without_privilege_the_command_is_told_and_nothing_done(
    only_fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(monkeypatch, None)
    only_fakes.add("apt-cache", NOBLE)
    only_fakes.add("apt-get")
    only_fakes.add("sudo", "exit 1")
    shortage = system.provide(NEEDS)
    assert shortage is not None
    assert shortage.names == tuple(NEEDS)
    assert shortage.remedy.startswith("sudo apt-get update && sudo apt-get install ")
    assert shortage.remedy.endswith(" libglib2.0-0t64 xvfb")
    assert only_fakes.calls("apt-get") == []


@pytest.mark.parametrize("prefix", [(), ("sudo", "-n")])
def test_with_privilege_they_are_installed(
    only_fakes: Fakes, monkeypatch: pytest.MonkeyPatch, prefix: tuple[str, ...]
) -> None:
    allow(monkeypatch, prefix)
    appears_after_install(only_fakes, monkeypatch)
    only_fakes.add("sudo", 'shift; exec "$@"')
    only_fakes.add("apt-cache", BOOKWORM)
    only_fakes.add("apt-get")
    assert system.provide(NEEDS) is None
    (call,) = only_fakes.calls("apt-get")
    assert call.startswith("apt-get install -y --no-install-recommends ")
    assert call.endswith(" libglib2.0-0 xvfb")
    assert bool(only_fakes.calls("sudo")) == bool(prefix)


def test_empty_lists_are_filled_first(only_fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, ())
    appears_after_install(only_fakes, monkeypatch)
    only_fakes.add("apt-cache")
    only_fakes.add("apt-get")
    assert system.provide(NEEDS) is None
    assert [call.split()[1] for call in only_fakes.calls("apt-get")] == ["update", "install"]


def test_stale_lists_are_renewed_and_a_failure_is_explained(only_fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, ())
    only_fakes.add("apt-cache", BOOKWORM)
    only_fakes.add("apt-get", "echo 'Err:1 404'; echo \"Temporary failure resolving 'mirror'\"; exit 100")
    shortage = system.provide(NEEDS)
    assert shortage is not None
    assert "cannot be reached" in shortage.reason
    assert "apt-get install" in shortage.remedy
    assert [call.split()[1] for call in only_fakes.calls("apt-get")] == ["install", "update", "install"]


def test_other_systems_get_the_names(only_fakes: Fakes) -> None:
    shortage = system.provide(NEEDS)
    assert shortage is not None
    assert all(name in shortage.remedy for name in NEEDS)


def test_privilege(only_fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert system.privilege() == ()
    monkeypatch.setenv("BURNISH_NO_APT", "1")
    assert system.privilege() is None
    monkeypatch.delenv("BURNISH_NO_APT")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert system.privilege() is None
    only_fakes.add("sudo", "exit 1")
    assert system.privilege() is None
    only_fakes.add("sudo")
    assert system.privilege() == ("sudo", "-n")
    assert only_fakes.calls("sudo") == ["sudo -n true"] * 2


@pytest.mark.parametrize(
    ("display", "wayland", "needs"),
    [("", "", system.WINDOW), (":0", "", system.WINDOW), (":0", "w", system.WINDOW), ("", "w", system.WAYLAND)],
)
def test_what_a_window_needs(
    monkeypatch: pytest.MonkeyPatch, display: str, wayland: str, needs: dict[str, tuple[str, ...]]
) -> None:
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.setenv("WAYLAND_DISPLAY", wayland)
    assert system.window_needs() == {**system.OFFSCREEN, **needs}
    assert system.has_display() == bool(display or wayland)
