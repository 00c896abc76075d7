"""The commands: what they run, in which order, and how they end."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from installer import commands, environment, system
from tests.packaging.conftest import Fakes

NAMES = ("ruff", "mypy", "lint-imports", "python", "burnish")


@pytest.fixture
def ready(checkout: Path, fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> Fakes:
    """Make an environment whose programs only note their arguments, on a machine that lacks nothing."""
    monkeypatch.setattr(environment, "program", lambda name: fakes.folder / name)
    monkeypatch.setattr(environment, "is_ready", lambda: True)
    monkeypatch.setattr(system, "missing", lambda names: ())
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    for name in NAMES:
        fakes.add(name, 'echo "qt $QT_QPA_PLATFORM" >> "$(dirname "$0")/../qt.txt"')
    return fakes


def short_of(*names: str) -> system.Shortage:
    return system.Shortage(names, "Qt needs something.", "sudo apt-get install something")


def test_test_runs_everything_and_the_suite_last(ready: Fakes, capfd: pytest.CaptureFixture[str]) -> None:
    assert commands.main(["test", "-k", "two words", "--co"]) == 0
    assert ready.calls() == [
        "ruff check",
        "ruff format --check",
        "mypy ",
        "lint-imports ",
        "python -m pytest -k two words --co",
    ]
    shown = capfd.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in shown] == ["ruff check", "ruff format --check", "mypy", "lint-imports"]
    assert all(line.split()[-1] == "s" for line in shown)


@pytest.mark.parametrize("broken", ["ruff", "mypy", "lint-imports", "python"])
def test_test_fails_when_any_fails_and_still_runs_the_rest(
    ready: Fakes, capfd: pytest.CaptureFixture[str], broken: str
) -> None:
    ready.add(broken, "echo what is wrong; exit 3")
    assert commands.main(["test"]) == (3 if broken == "python" else 1)
    assert len(ready.calls()) == 5
    out = capfd.readouterr().out
    assert "what is wrong" in out
    assert ("FAILED: " in out) == (broken != "python")


@pytest.mark.parametrize(("display", "platform"), [("", "offscreen"), (":7", "")])
def test_qt_is_offscreen_without_a_display(
    ready: Fakes, monkeypatch: pytest.MonkeyPatch, display: str, platform: str
) -> None:
    monkeypatch.setattr(system, "has_display", lambda: bool(display))
    assert commands.main(["test"]) == 0
    assert set((ready.folder.parent / "qt.txt").read_text().splitlines()) == {f"qt {platform}"}


@pytest.mark.parametrize(
    ("display", "arguments", "called"),
    [
        (False, [], "burnish sample --headless"),
        (True, [], "burnish sample"),
        (True, ["--headless", "-x"], "burnish sample --headless -x"),
    ],
)
def test_run(ready: Fakes, monkeypatch: pytest.MonkeyPatch, display: bool, arguments: list[str], called: str) -> None:
    monkeypatch.setattr(system, "has_display", lambda: display)
    assert commands.main(["run", *arguments]) == 0
    assert ready.calls() == [called]


def test_run_hands_on_the_exit_status_and_a_signal(ready: Fakes) -> None:
    ready.add("burnish", "exit 2")
    assert commands.main(["run"]) == 2
    ready.add("burnish", "kill -9 $$")
    assert commands.main(["run"]) == 137


def test_a_window_without_its_libraries_is_not_tried(
    ready: Fakes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(system, "has_display", lambda: True)
    monkeypatch.setattr(system, "provide", lambda needs: short_of("libxcb-cursor.so.0") if needs else None)
    assert commands.main(["run"]) == 1
    assert capsys.readouterr().err == ("error: Qt needs something.\n  what to do: sudo apt-get install something\n")
    assert ready.calls() == []
    assert commands.main(["run", "--headless"]) == 0


def test_the_suite_wants_the_offscreen_libraries_and_mentions_the_rest(
    ready: Fakes, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(system, "provide", lambda needs: short_of("libEGL.so.1"))
    assert commands.main(["test"]) == 1
    assert ready.calls() == []
    monkeypatch.setattr(system, "provide", lambda needs: short_of("Xvfb"))
    assert commands.main(["test"]) == 0
    assert "sudo apt-get install something" in capfd.readouterr().out


def test_setup_only_mentions_what_the_window_lacks(
    ready: Fakes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(system, "provide", lambda needs: short_of("libEGL.so.1"))
    assert commands.main(["setup"]) == 0
    out = capsys.readouterr().out
    assert "note: Qt needs something." in out
    assert out.endswith(f"ready: {environment.program('burnish')}\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["tset"], "did you mean 'test'?"), (["setup", "now"], "takes no arguments"), ([], "usage: ")],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    assert commands.main(arguments) == 2
    shown = capsys.readouterr()
    assert words in shown.err
    assert shown.out == ""


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(["--help"]) == 0
    assert "  test [ARG ...]" in capsys.readouterr().out


def test_an_error_of_the_system_has_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(environment, "check_place", fail)
    assert commands.main(["setup"]) == 1
    assert capsys.readouterr().err.startswith("error: the command failed: the disk is full.\n  what to do: free")


def test_lock_names_no_index_and_no_path(ready: Fakes, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "ensure_venv", lambda: None)
    ready.add("uv")
    assert commands.main(["lock", "--upgrade"]) == 0
    (call,) = ready.calls("uv")
    assert str(checkout) not in call
    assert call.endswith("--upgrade pyproject.toml -o installer/requirements.lock")
    for option in ("--universal", "--generate-hashes", "--no-emit-index-url", "--no-emit-find-links"):
        assert option in call.split()


def test_programs_see_the_environment(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/elsewhere")
    env: Mapping[str, str] = commands.child_environment()
    assert env["VIRTUAL_ENV"] == str(checkout / ".venv")
    assert env["PATH"].startswith(str(environment.program("python").parent))
    assert "PYTHONHOME" not in env
