"""The commands of ``installer/dev.py``: setup, run, test, lock."""

import difflib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from installer import environment, system
from installer.console import Problem, Step, follow, say, tolerate_any_letter
from installer.diagnosis import explain

USAGE = """\
usage: python3 installer/dev.py COMMAND [ARGUMENT ...]

  setup           make .venv and install the project and what it needs into it; then .venv/bin/burnish works
  run [ARG ...]   setup, then do the main job on the bundled sample: in the studio, or headless without a display
  test [ARG ...]  setup, then linters, types, import rules and the whole suite; arguments are handed to pytest
  lock [ARG ...]  write installer/requirements.lock anew from pyproject.toml; --upgrade takes the newest versions

On Debian and Ubuntu it installs missing system libraries where it may (BURNISH_NO_APT=1: it only names them).\
"""

LINTERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ruff check", ("ruff", "check")),
    ("ruff format --check", ("ruff", "format", "--check")),
    ("mypy", ("mypy",)),
    ("lint-imports", ("lint-imports",)),
)


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says.

    Parameters
    ----------
    arguments : sequence of str
        Without the program's name.

    Returns
    -------
    int
        Exit status: 0 done, 1 failed, 2 wrong usage, 130 stopped by the user.
    """
    tolerate_any_letter()
    try:
        return dispatch(arguments)
    except Problem as problem:
        return report(problem)
    except OSError as error:
        return report(explain(str(error), "the command"))


def report(problem: Problem) -> int:
    """Print a problem and its remedy; returns the exit status."""
    sys.stdout.flush()
    print(f"error: {problem.message}\n  what to do: {problem.remedy}", file=sys.stderr)
    return 1


def dispatch(arguments: Sequence[str]) -> int:
    """Call the command that `arguments` begins with."""
    commands: Mapping[str, Callable[[Sequence[str]], int]] = {"setup": setup, "run": run, "test": test, "lock": lock}
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", ())
    if name in ("-h", "--help", "help"):
        say(USAGE)
        return 0
    if name in commands and not (name == "setup" and rest):
        return commands[name](rest)
    near = difflib.get_close_matches(name, commands, n=1)
    wrong = f"setup takes no arguments ({rest[0]})" if rest and name == "setup" else f"there is no command {name!r}"
    hint = f"; did you mean {near[0]!r}?" if near and name not in commands else "."
    print(f"{USAGE}\n\nerror: {wrong}{hint}" if name else USAGE, file=sys.stderr)
    return 2


def prepare(needs: Mapping[str, tuple[str, ...]], vital: Iterable[str]) -> system.Shortage | None:
    """Make ``.venv`` ready and see to the system libraries.

    Parameters
    ----------
    needs : mapping of str to tuple of str
        Libraries and programs, with the packages that have them.
    vital : iterable of str
        Those that the command cannot do without.

    Returns
    -------
    Shortage or None
        What is missing, none of it vital.

    Raises
    ------
    Problem
        When something vital is missing, or ``.venv`` cannot be made ready.
    """
    environment.check_place()
    shortage = system.provide(needs)
    if shortage and set(shortage.names).intersection(vital):
        raise Problem(shortage.reason, shortage.remedy)
    environment.ensure()
    return shortage


def setup(_arguments: Sequence[str] = ()) -> int:
    """Prepare ``.venv`` and, where that is allowed, the system libraries of Qt."""
    shortage = prepare(system.window_needs(), vital=())
    if shortage:
        say(f"note: {shortage.reason}\n  for the window: {shortage.remedy}")
    say(f"ready: {environment.program('burnish')}")
    return 0


def run(arguments: Sequence[str]) -> int:
    """Open the studio on the bundled sample; without a display do the same job headless."""
    windowed = system.has_display() and "--headless" not in arguments
    needs = system.window_needs() if windowed else {}
    prepare(needs, vital=needs)
    if not windowed and "--headless" not in arguments:
        say("no display here: doing the studio's job on the sample without a window")
        arguments = ("--headless", *arguments)
    return hand_over([environment.program("burnish"), "sample", *arguments], child_environment())


def test(arguments: Sequence[str]) -> int:
    """Run the linters, then the suite; every one runs, whatever the others say."""
    needs = {**system.OFFSCREEN, **system.WINDOW, **system.VIRTUAL_SCREEN}
    shortage = prepare(needs, vital=system.OFFSCREEN)
    if shortage:
        say(f"note: {shortage.reason}\n  for the tests of real windows: {shortage.remedy}")
    env = child_environment()
    if not system.has_display():
        env.setdefault("QT_QPA_PLATFORM", "offscreen")
    failed = [title for title, command in LINTERS if not passes(title, command, env)]
    if failed:
        say(f"FAILED: {', '.join(failed)} (see above); now the suite")
    status = hand_over([environment.program("python"), "-m", "pytest", *arguments], env)
    return status or int(bool(failed))


def passes(title: str, command: Sequence[str], env: Mapping[str, str]) -> bool:
    """Run one linter; what it prints is shown when it fails."""
    step = Step(title)
    status, output = follow(step, [environment.program(command[0]), *command[1:]], env=env, cwd=environment.ROOT)
    step.end("ok" if status == 0 else "FAILED")
    if status != 0:
        say(output.rstrip())
    return status == 0


def lock(arguments: Sequence[str]) -> int:
    """Write the lock file anew: for every supported Python and system, with hashes, naming no index and no path."""
    environment.ensure_venv()
    if not environment.program("uv").exists():
        environment.pip(Step("installing uv"), "uv")
    step = Step("resolving the packages")
    options = ["--universal", "--generate-hashes", "--python-version", "3.11", "--extra", "test", "--quiet"]
    options += ["--no-emit-index-url", "--no-emit-find-links"]
    options += ["--custom-compile-command", "python3 installer/dev.py lock", *arguments]
    target = environment.LOCK.relative_to(environment.ROOT)
    command: list[str | Path] = [environment.program("uv"), "pip", "compile", *options, "pyproject.toml", "-o", target]
    status, output = follow(step, command, cwd=environment.ROOT)
    step.end("ok" if status == 0 else "FAILED")
    if status != 0:
        raise explain(output, "resolving the packages")
    say(f"written: {environment.LOCK}")
    return 0


def child_environment() -> dict[str, str]:
    """Environment of a program that runs in ``.venv``."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONHOME"}
    paths = [str(environment.program("python").parent), env.get("PATH", "")]
    return {**env, "VIRTUAL_ENV": str(environment.VENV), "PATH": os.pathsep.join(path for path in paths if path)}


def hand_over(command: Sequence[str | Path], env: Mapping[str, str]) -> int:
    """Run a command with this terminal; on Ctrl-C it has ten seconds to end by itself.

    Returns
    -------
    int
        Its exit status; 128 + the signal's number when one ended it.
    """
    sys.stdout.flush()
    process = subprocess.Popen([str(part) for part in command], env=dict(env), cwd=environment.ROOT)
    try:
        status = process.wait()
    except KeyboardInterrupt:
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
        raise
    return status if status >= 0 else 128 - status
