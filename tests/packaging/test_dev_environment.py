"""When ``.venv`` is made, kept, renewed or made anew."""

import shutil
import sys
from pathlib import Path

import pytest

from installer import bootstrap, environment
from installer.console import Problem, Step
from tests.packaging.conftest import Fakes


@pytest.fixture
def steps(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the steps instead of doing them."""
    done: list[str] = []

    def make(folder: Path) -> None:
        done.append("make")
        for name in ("python", "burnish"):
            environment.program(name).parent.mkdir(parents=True, exist_ok=True)
            environment.program(name).touch()

    monkeypatch.setattr(bootstrap, "make", make)
    monkeypatch.setattr(environment, "install_locked", lambda: done.append("packages"))
    monkeypatch.setattr(environment, "install_project", lambda: done.append("project"))
    monkeypatch.setattr(environment, "SPACE_GB", 0.0)
    return done


def again(steps: list[str]) -> list[str]:
    steps.clear()
    environment.ensure()
    return list(steps)


def test_once_is_enough(steps: list[str]) -> None:
    assert again(steps) == ["make", "packages", "project"]
    assert again(steps) == []


@pytest.mark.parametrize("name", ["pyproject.toml", "installer/requirements.lock"])
def test_a_changed_project_or_lock_renews_it_in_place(steps: list[str], checkout: Path, name: str) -> None:
    environment.ensure()
    with (checkout / name).open("a") as file:
        file.write("# changed\n")
    assert again(steps) == ["packages", "project"]
    assert again(steps) == []


def test_another_python_or_folder_makes_it_anew(steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    environment.ensure()
    (environment.VENV / "old").touch()
    monkeypatch.setattr(environment, "SCHEME", "another Python")
    assert again(steps) == ["make", "packages", "project"]
    assert not (environment.VENV / "old").exists()
    moved = environment.VENV.parent.with_name("moved")
    shutil.copytree(environment.VENV, moved / ".venv")
    monkeypatch.setattr(environment, "VENV", moved / ".venv")
    monkeypatch.setattr(environment, "STAMP", moved / ".venv" / environment.STAMP.name)
    assert again(steps) == ["make", "packages", "project"]


@pytest.mark.parametrize("name", ["python", "burnish"])
def test_a_missing_program_is_noticed(steps: list[str], name: str) -> None:
    environment.ensure()
    environment.program(name).unlink()
    assert "packages" in again(steps)


def test_half_made_is_made_anew(steps: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    environment.VENV.mkdir()
    (environment.VENV / "half").mkdir()
    (environment.VENV / "link").symlink_to(environment.ROOT)
    assert again(steps) == ["make", "packages", "project"]
    assert not (environment.VENV / "half").exists()
    assert environment.ROOT.is_dir()
    assert "not sound" in capsys.readouterr().out


def test_stopped_while_downloading_it_goes_on(steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(environment, "install_locked", stop)
        with pytest.raises(KeyboardInterrupt):
            environment.ensure()
    assert again(steps) == ["packages", "project"]


def test_stopped_while_unpacking_it_is_made_anew(
    steps: list[str], fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.ensure()
    pip = fakes.add("pip", "echo 'Installing collected packages: a, b'; kill -9 $$")
    with monkeypatch.context() as patch:
        patch.setattr(environment, "program", lambda name: pip)
        with pytest.raises(Problem):
            environment.pip(Step("installing"))
    assert again(steps) == ["make", "packages", "project"]


@pytest.mark.parametrize("name", ["pyproject.toml", "installer/requirements.lock"])
def test_an_incomplete_checkout(steps: list[str], checkout: Path, name: str) -> None:
    (checkout / name).unlink()
    with pytest.raises(Problem, match=f"{Path(name).name} is missing") as caught:
        environment.ensure()
    assert "git checkout" in caught.value.remedy


def test_a_file_in_the_way(steps: list[str], checkout: Path) -> None:
    (checkout / ".venv").write_text("mine")
    with pytest.raises(Problem, match="is not a folder"):
        environment.check_place()
    assert (checkout / ".venv").read_text() == "mine"


def test_a_read_only_checkout(steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        with pytest.raises(Problem, match=r"cannot be written \(Read-only file system\)") as caught:
            environment.check_place()
    assert "copy the checkout" in caught.value.remedy
    environment.ensure()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        environment.check_place()  # Once it is ready nothing is written.
        environment.ensure()


def test_too_little_space_is_told_before_anything_is_made(steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "SPACE_GB", 1e9)
    with pytest.raises(Problem, match="GB are free"):
        environment.ensure()
    assert steps == []


def test_programs_lie_where_the_platform_puts_them(checkout: Path) -> None:
    expected = Path("Scripts/burnish.exe") if sys.platform == "win32" else Path("bin/burnish")
    assert environment.program("burnish") == checkout / ".venv" / expected
