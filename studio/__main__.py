"""Burnish's one entry: the window, the command line, or a worker process."""

from __future__ import annotations

import sys
from pathlib import Path

#: what opens in the window when it is all that was said
_OPENED = (".onnx", ".burnish")


class Studio:
    """The window, imported only when it is opened."""

    def show(self, paths: list[str]) -> int:
        """Open the studio on a model or project; gives the exit status."""
        from studio.ui.start import show

        return show([Path(path) for path in paths])

    def screenshot(self, project: Path, target: Path) -> None:
        """Draw the window with a project open, without a display, into a PNG."""
        from studio.ui.start import screenshot

        screenshot(project, target)


def main() -> int:
    """Dispatch on the first argument; returns the exit status."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["worker"]:
        from studio.jobs.worker import main as work

        return work()
    try:
        return _dispatch(arguments)
    except KeyboardInterrupt:  # before the command line listens for it, or once more while it ends
        return 1


def _dispatch(arguments: list[str]) -> int:
    if all(Path(name).suffix in _OPENED and Path(name).exists() for name in arguments):
        # The window at once: what reads a command line takes as long to import as Qt itself.
        return Studio().show(arguments)
    from studio.cli.main import is_command, run

    if is_command(arguments) or (arguments and not Path(arguments[0]).exists()):
        return run(arguments, Studio())
    return run(["open", *arguments], Studio())


if __name__ == "__main__":
    raise SystemExit(main())
