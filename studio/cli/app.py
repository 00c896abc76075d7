"""What a command works with: the session made when first used, messages on stderr, one document on stdout."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import click
from pydantic import BaseModel
from rich.console import Console

from studio.core.errors import BurnishError
from studio.core.registry import Registry
from studio.locations import cache_folder, load_registry

if TYPE_CHECKING:
    from studio.jobs.pool import JobPool
    from studio.jobs.protocol import JobEvent
    from studio.session import Session
    from studio.workbench import Workbench


class Window(Protocol):
    """The other face, handed in so that the command line need not import it."""

    def show(self, paths: list[str]) -> int:
        """Open the studio on a model or project; gives the exit status."""

    def screenshot(self, project: Path, target: Path) -> None:
        """Draw the window with a project open, without a display, into a PNG."""


@dataclass
class App:
    """State of one run of the command line.

    Attributes
    ----------
    pool
        Where jobs run; one of its own, which ends with it, when there is none.
    json
        Whether stdout gets one JSON document and nothing else.
    """

    window: Window
    pool: JobPool | None = None
    json: bool = False
    debug: bool = False

    def __post_init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
        self._stack = ExitStack()
        self._session: Session | None = None
        self._registry: Registry | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def registry(self) -> Registry:
        """The plugins."""
        if self._registry is None:
            self._registry = load_registry()
        return self._registry

    @property
    def session(self) -> Session:
        """The session, with its worker pool; made when first used."""
        if self._session is None:
            from studio.jobs.pool import JobPool
            from studio.session import Session
            from studio.workbench import Workbench

            pool = self.pool or self._stack.enter_context(JobPool(spare=False))
            work = Workbench(self.registry, pool, cache_folder())
            self._stack.callback(work.close)
            self._session = Session(work)
        return self._session

    @property
    def work(self) -> Workbench:
        """The workbench of the session."""
        return self.session.work

    def scratch(self) -> Path:
        """Give a folder that is removed at the end."""
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="burnish-")))

    def show(self, document: BaseModel, human: Callable[[Console], None]) -> None:
        """Print the result: the document with ``--json``, else what `human` writes to stdout."""
        if self.json:
            sys.stdout.write(document.model_dump_json(indent=2, by_alias=True) + "\n")
            sys.stdout.flush()
        else:
            # Names and shapes may hold brackets and colons, which are neither markup nor emoji.
            human(Console(highlight=False, soft_wrap=not sys.stdout.isatty(), markup=False, emoji=False))

    def say(self, text: str) -> None:
        """Write a line to stderr."""
        self.console.print(text, markup=False)

    def warn(self, text: str) -> None:
        """Write a warning to stderr."""
        self.console.print(f"warning: {text}", style="yellow", markup=False)

    def watcher(self) -> Watcher:
        """Give a listener for job events that shows progress on stderr."""
        return Watcher(self)


class Watcher:
    """Shows a job's progress as lines on stderr: at most one a second, none for quick jobs."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._last = time.monotonic()
        self._debug = app.debug

    def __call__(self, event: JobEvent) -> None:
        """Take a job event."""
        from studio.jobs.protocol import Log, Progress

        if isinstance(event, Log) and (self._debug or event.level in ("warning", "error")):
            self._app.console.print(f"  {event.text}", style="dim", markup=False)
        if isinstance(event, Progress) and time.monotonic() - self._last > 1.0:
            self._last = time.monotonic()
            share = f"{100 * event.done / event.total:3.0f} %  " if event.total else ""
            self._app.console.print(f"  {share}{event.label}", style="dim", markup=False)


def print_error(console: Console, error: BurnishError, *, debug: bool) -> None:
    """Print an error: what is wrong, what to do; with ``--debug`` also where."""
    console.print(f"error: {error.message}", style="red", markup=False)
    if error.hint:
        console.print(f"  {error.hint}", markup=False)
    if debug:
        console.print("".join(getattr(error, "__notes__", ())) or "(no further detail)", style="dim", markup=False)
        console.print_exception()


def print_failure(console: Console, message: str, hint: str, *, debug: bool) -> None:
    """Print what is wrong and what to do about an error that nobody foresaw."""
    console.print(f"error: {message}", style="red", markup=False)
    console.print(f"  {hint}", markup=False)
    if debug:
        console.print_exception()


pass_app = click.make_pass_decorator(App)
