"""Making ``.venv`` where Python comes without pip."""

import subprocess
import sys
from pathlib import Path

import pytest

from installer import bootstrap, system
from installer.console import Problem
from tests.packaging.conftest import Fakes

POLICY = 'for name; do test "$name" = policy || printf "%s:\\n  Installed: (none)\\n  Candidate: 1.0\\n" "$name"; done'


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "has_ensurepip", lambda: False)


def as_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "privilege", lambda: None)


def test_without_privilege_pip_comes_from_its_debian_package(
    tmp_path: Path, only_fakes: Fakes, pip_wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_user(monkeypatch)
    only_fakes.add("apt-cache", POLICY)
    only_fakes.add("apt-get", 'case "$*" in *download*) echo deb > pip.deb;; esac')
    wheels = '"$3/usr/share/python-wheels"'
    only_fakes.add("dpkg-deb", f'mkdir -p {wheels}; cp "{pip_wheel}" {wheels}')
    venv = tmp_path / "a chéckout" / ".venv"
    bootstrap.make(venv)
    done = subprocess.run([str(venv / "bin" / "python"), "-m", "pip", "--version"], capture_output=True, check=True)
    assert b"pip" in done.stdout
    assert only_fakes.calls("apt-get") == ["apt-get download python3-pip-whl"]


def test_without_lists_it_fetches_lists_of_its_own(
    tmp_path: Path, only_fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_user(monkeypatch)
    only_fakes.add("apt-cache")
    only_fakes.add("apt-get", 'case "$*" in *download*) echo "Temporary failure resolving"; exit 100;; esac')
    with pytest.raises(Problem, match=r"without pip, and fetching pip failed: .* cannot be reached") as caught:
        bootstrap.make(tmp_path / ".venv")
    assert "apt-get install -y --no-install-recommends python3-venv" in caught.value.remedy
    update, download = only_fakes.calls("apt-get")
    assert update.endswith(" update")
    assert "-o Dir::State::Lists=" in update
    assert "-o Dir::State::Lists=" in download


def test_root_installs_the_venv_package(tmp_path: Path, only_fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "privilege", lambda: ())
    monkeypatch.setattr(bootstrap, "is_distributions_own", lambda: True)
    monkeypatch.setattr(bootstrap, "venv_packages", lambda: ("python3.11-venv", "python3-venv"))
    made: list[Path] = []
    monkeypatch.setattr(bootstrap, "plain", made.append)
    only_fakes.add("apt-cache", POLICY)
    only_fakes.add("apt-get")
    bootstrap.make(tmp_path / ".venv")
    assert made == [tmp_path / ".venv"]
    (call,) = only_fakes.calls("apt-get")
    assert call.split()[1] == "install"
    assert call.split()[-1] == "python3.11-venv"


def test_no_way_left(tmp_path: Path, only_fakes: Fakes) -> None:
    with pytest.raises(Problem, match="comes without pip") as caught:
        bootstrap.make(tmp_path / ".venv")
    assert "venv" in caught.value.remedy
    assert only_fakes.calls() == []


def test_a_failing_venv_is_explained(tmp_path: Path, only_fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    python = only_fakes.add("python", "echo 'Error: [Errno 28] No space left on device'; exit 1")
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(Problem, match=r"making \.venv failed: the disk is full\."):
        bootstrap.plain(tmp_path / ".venv")
