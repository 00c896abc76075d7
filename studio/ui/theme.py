"""Light and dark: design tokens, two full palettes, a small stylesheet."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from studio.locations import assets

Scheme = Literal["light", "dark"]
Choice = Literal["system", "light", "dark"]


@dataclass(frozen=True)
class Tokens:
    """The colours of one scheme, as ``#rrggbb``. No pydantic here: it would be what the first picture waits for."""

    window: str
    surface: str
    raised: str
    line: str
    text: str
    dim: str
    disabled: str
    accent: str
    on_accent: str
    selection: str
    on_selection: str
    link: str
    good: str
    bad: str
    neutral: str
    warning: str
    warning_surface: str
    error_surface: str
    series: tuple[str, ...]


def load_tokens(scheme: Scheme) -> Tokens:
    """Read the tokens of a scheme."""
    table = tomllib.loads((assets() / "theme" / "tokens.toml").read_text(encoding="utf-8"))
    colors = dict(table[scheme])
    return Tokens(series=tuple(colors.pop("series")), **colors)


def system_scheme() -> Scheme:
    """Ask the desktop; light when it does not tell."""
    return "dark" if QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark else "light"


def apply_theme(app: QApplication, choice: Choice) -> Tokens:
    """Dress the application: Fusion, a full palette (disabled roles too), the stylesheet."""
    tokens = load_tokens(system_scheme() if choice == "system" else choice)
    if not app.styleSheet():
        app.setStyle("Fusion")
    # Without a sheet meanwhile: with one, every widget would be styled anew for the palette and again for the sheet.
    app.setStyleSheet("")
    app.setPalette(palette(tokens))
    app.setStyleSheet(stylesheet(tokens))
    return tokens


def palette(tokens: Tokens) -> QPalette:
    """Make the palette of a scheme."""
    role = QPalette.ColorRole
    colors = {
        role.Window: tokens.window,
        role.WindowText: tokens.text,
        role.Base: tokens.surface,
        role.AlternateBase: tokens.window,
        role.Text: tokens.text,
        role.Button: tokens.raised,
        role.ButtonText: tokens.text,
        role.BrightText: tokens.bad,
        role.Highlight: tokens.selection,
        role.HighlightedText: tokens.on_selection,
        role.Link: tokens.link,
        role.LinkVisited: tokens.link,
        role.ToolTipBase: tokens.raised,
        role.ToolTipText: tokens.text,
        role.PlaceholderText: tokens.dim,
        role.Accent: tokens.accent,
        role.Light: tokens.surface,
        role.Midlight: tokens.raised,
        role.Mid: tokens.line,
        role.Dark: tokens.line,
        role.Shadow: tokens.line,
    }
    made = QPalette()
    for key, value in colors.items():
        made.setColor(key, QColor(value))
    for key in (role.WindowText, role.Text, role.ButtonText, role.HighlightedText, role.PlaceholderText):
        made.setColor(QPalette.ColorGroup.Disabled, key, QColor(tokens.disabled))
    made.setColor(QPalette.ColorGroup.Disabled, role.Highlight, QColor(tokens.raised))
    return made


def stylesheet(tokens: Tokens) -> str:
    """Say what a palette cannot: primary buttons, cards, quiet labels, message bars."""
    return f"""
QToolTip {{ color: {tokens.text}; background: {tokens.raised}; border: 1px solid {tokens.line}; padding: 4px; }}
QPushButton[primary="true"] {{ color: {tokens.on_accent}; background: {tokens.accent}; border: 0; border-radius: 4px;
  padding: 5px 14px; font-weight: 600; }}
QPushButton[primary="true"]:disabled {{ color: {tokens.disabled}; background: {tokens.raised}; }}
QPushButton[primary="true"]:focus {{ border: 2px solid {tokens.text}; padding: 3px 12px; }}
QToolButton[primary="true"] {{ color: {tokens.on_accent}; background: {tokens.accent}; border: 0; border-radius: 4px;
  padding: 5px 26px 5px 14px; font-weight: 600; }}
QToolButton[primary="true"]:disabled {{ color: {tokens.disabled}; background: {tokens.raised}; }}
QToolButton[primary="true"]:focus {{ border: 2px solid {tokens.text}; padding: 3px 24px 3px 12px; }}
QToolButton[primary="true"]::menu-button {{ width: 18px; border: 0; border-left: 1px solid {tokens.surface}; }}
QLabel[quiet="true"] {{ color: {tokens.dim}; }}
QLabel[good="true"] {{ color: {tokens.good}; }}
QLabel[bad="true"] {{ color: {tokens.bad}; }}
QLabel[heading="true"] {{ font-weight: 600; }}
QFrame[card="true"] {{ background: {tokens.surface}; border: 1px solid {tokens.line}; border-radius: 6px; }}
QFrame[message="error"] {{ background: {tokens.error_surface}; border-bottom: 1px solid {tokens.bad}; }}
QFrame[message="warning"] {{ background: {tokens.warning_surface}; border-bottom: 1px solid {tokens.warning}; }}
QFrame[callout="true"] {{ background: {tokens.raised}; border: 1px solid {tokens.accent}; border-radius: 6px; }}
QFrame[marked="true"] {{ background: transparent; border: 2px solid {tokens.accent}; border-radius: 4px; }}
QTabBar::tab {{ padding: 6px 14px; color: {tokens.dim}; background: transparent; border: 0;
  border-bottom: 2px solid transparent; }}
QTabBar::tab:selected {{ color: {tokens.text}; border-bottom: 2px solid {tokens.accent}; }}
QTabBar::tab:focus {{ border-bottom: 2px solid {tokens.text}; }}
QTabWidget::pane {{ border: 0; border-top: 1px solid {tokens.line}; }}
QHeaderView::section {{ background: {tokens.window}; color: {tokens.dim}; border: 0; padding: 4px 6px; }}
QMenuBar {{ background: {tokens.window}; color: {tokens.text}; border: 0; }}
QMenuBar::item {{ padding: 7px 9px; background: transparent; }}
QMenuBar::item:selected {{ background: {tokens.selection}; color: {tokens.on_selection}; }}
QToolBar {{ background: {tokens.window}; border: 0; border-bottom: 1px solid {tokens.line}; padding: 3px 6px;
  spacing: 6px; }}
QSplitter::handle {{ background: {tokens.line}; }}
QSplitter::handle:horizontal {{ width: 1px; }}
QSplitter::handle:vertical {{ height: 1px; }}
"""


def contrast(first: str, second: str) -> float:
    """Give the contrast ratio of two colours, 1 to 21 (WCAG 2.2, "relative luminance")."""
    bright, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
