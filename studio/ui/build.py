"""Small helpers for building widgets: layouts in one call, names and tooltips in one call."""

from __future__ import annotations

from typing import TypeVar

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from studio.ui.glossary import explained

W = TypeVar("W", bound=QWidget)
Margins = tuple[int, int, int, int]
NONE: Margins = (0, 0, 0, 0)


def row(parent: QWidget | None = None, *, spacing: int = 6, margins: Margins = NONE) -> QHBoxLayout:
    """Make a horizontal layout; margins are left, top, right, bottom in pixels."""
    return _space(QHBoxLayout(parent) if parent is not None else QHBoxLayout(), spacing, margins)


def column(parent: QWidget | None = None, *, spacing: int = 6, margins: Margins = NONE) -> QVBoxLayout:
    """Make a vertical layout; margins are left, top, right, bottom in pixels."""
    return _space(QVBoxLayout(parent) if parent is not None else QVBoxLayout(), spacing, margins)


def named(widget: W, name: str = "", tip: str = "") -> W:
    """Give a widget the name that screen readers say, and its tooltip, with what the terms in it mean."""
    if name:
        widget.setAccessibleName(name)
    if tip:
        widget.setToolTip(explained(tip))
    return widget


def words(text: str = "", look: str = "quiet") -> QLabel:
    """Make a label of plain text that wraps; `look` is ``"quiet"``, ``"heading"``, ``"good"`` or ``"bad"``."""
    label = QLabel(text, wordWrap=True, textFormat=Qt.TextFormat.PlainText)
    if look:
        label.setProperty(look, True)
    return label


def heading(text: str) -> QLabel:
    """Make a heading."""
    label = QLabel(text)
    label.setProperty("heading", True)
    return label


def tool(name: str, tip: str, *, checkable: bool = False) -> QToolButton:
    """Make a flat button that carries an icon."""
    button = QToolButton(autoRaise=True)
    button.setCheckable(checkable)
    return named(button, name, tip)


L = TypeVar("L", bound=QBoxLayout)


def _space(layout: L, spacing: int, margins: Margins) -> L:
    layout.setSpacing(spacing)
    layout.setContentsMargins(*margins)
    return layout
