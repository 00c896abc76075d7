"""What may be dropped on the window, or be named on the command line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QMimeData

Kind = Literal["model", "project", "recipe"]
_SUFFIXES: dict[str, Kind] = {".onnx": "model", ".burnish": "project", ".toml": "recipe"}


def kind_of(path: Path) -> Kind | None:
    """Say what a path is by its name; None when the studio has no use for it."""
    return _SUFFIXES.get(path.suffix.lower())


def dropped(data: QMimeData) -> list[Path]:
    """List the files of a drag that the studio can open."""
    paths: Iterable[Path] = (Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile())
    return [path for path in paths if kind_of(path) is not None]
