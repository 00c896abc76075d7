"""What the user sees: steps with their time, a line that shows progress, and problems with their remedy."""

import contextlib
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

REFRESH_SECONDS = 0.25
PLAIN_SECONDS = 10.0  # Between two lines of progress where lines cannot be rewritten: in a log.


class Problem(Exception):
    """Something that the user can put right.

    Parameters
    ----------
    message : str
        One sentence: what is wrong.
    remedy : str
        One sentence, or a command: what to do about it.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


def say(text: str = "") -> None:
    """Print one line at once."""
    print(text, flush=True)


def tolerate_any_letter() -> None:
    """Make output never fail on a letter that the terminal's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # A replaced stream may lack it.


def seconds(value: float) -> str:
    """Format a duration: ``0.4 s``, ``12 s``, ``2 min 05 s``."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 60:
        return f"{value:.0f} s"
    return f"{int(value) // 60} min {int(value) % 60:02d} s"


class Step:
    """One step of the work: a line rewritten in place on a terminal, now and then a line in a log.

    Parameters
    ----------
    title : str
        What is being done.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.detail = ""
        self._started = time.monotonic()
        self._in_place = sys.stdout.isatty()
        self._shown_at = self._started
        self._width = 0

    @property
    def elapsed(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self._started

    def tick(self) -> None:
        """Show where the step is, if it is time to."""
        now = time.monotonic()
        if now - self._shown_at < (REFRESH_SECONDS if self._in_place else PLAIN_SECONDS):
            return
        self._shown_at = now
        text = f"{self.title} ... {self.detail}  {seconds(self.elapsed)}".replace("...   ", "... ")
        self._rewrite(text) if self._in_place else say(text)

    def end(self, outcome: str) -> None:
        """Close the step with a line that stays."""
        if self._in_place:
            self._rewrite("")
        say(f"{self.title:<28} {outcome:<6} {seconds(self.elapsed):>12}")

    def clear(self) -> None:
        """Take the unfinished line away: something else is about to be printed."""
        if self._in_place:
            self._rewrite("")

    def _rewrite(self, text: str) -> None:
        text = text[: shutil.get_terminal_size().columns - 1]
        sys.stdout.write("\r" + text.ljust(self._width) + ("" if text else "\r"))
        sys.stdout.flush()
        self._width = len(text)


def follow(
    step: Step,
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> tuple[int, str]:
    """Run a command while `step` shows progress.

    Parameters
    ----------
    step : Step
        Shown while the command runs; the caller ends it.
    command : sequence of str or Path
        Program and arguments.
    env, cwd : optional
        Environment and folder of the command.
    on_line : callable, optional
        Called with each line of output, to set ``step.detail``.

    Returns
    -------
    tuple of int and str
        Exit status (127 when the program cannot be started) and everything it printed.
    """
    try:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            cwd=cwd,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        return 127, f"{command[0]}: {error.strerror}"
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_pump, args=(process, lines), daemon=True).start()
    printed: list[str] = []
    try:
        while (line := _next(lines, step)) is not None:
            printed.append(line)
            if on_line:
                on_line(line)
        return process.wait(), "".join(printed)
    except BaseException:
        _stop(process)
        step.clear()
        raise


def _pump(process: "subprocess.Popen[str]", lines: "queue.Queue[str | None]") -> None:
    if process.stdout is not None:
        with process.stdout as output:
            for line in output:
                lines.put(line)
    lines.put(None)


def _next(lines: "queue.Queue[str | None]", step: Step) -> str | None:
    while True:
        step.tick()
        with contextlib.suppress(queue.Empty):
            return lines.get(timeout=REFRESH_SECONDS)


def _stop(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
