"""Opening the studio."""

from __future__ import annotations

from pathlib import Path

from studio.core.errors import UsageError

_HINT = "Use the command line: 'burnish --help' lists the commands; 'burnish sample --headless' shows the whole loop."


def show(paths: list[Path]) -> int:  # noqa: ARG001
    """Open the studio on a model or project.

    Raises
    ------
    UsageError
        Always: this version has the window's theme and controller, not yet the window.
    """
    raise UsageError("The window is not finished in this version.", _HINT)


def screenshot(project: Path, target: Path) -> None:  # noqa: ARG001
    """Draw the window with a project open into a PNG.

    Raises
    ------
    UsageError
        Always, see `show`.
    """
    raise UsageError("The window is not finished in this version.", _HINT)
