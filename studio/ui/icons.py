"""Icons: SVG files drawn in the colour of the theme, at the resolution of the screen."""

from __future__ import annotations

from functools import cache

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from studio.locations import assets
from studio.ui.theme import Tokens

#: drawn sizes in pixels; Qt takes the nearest for a widget on a screen
_SIZES = (16, 24, 32, 48, 64)


def icon(name: str, tokens: Tokens) -> QIcon:
    """Give an icon of `assets/icons` in the theme's text colour, paler when disabled."""
    return _icon(name, tokens.text, tokens.disabled)


def picture(name: str, color: str, size: int) -> QPixmap:
    """Give an icon as a picture of `size` pixels."""
    return _draw(name, color, size)


@cache
def _icon(name: str, normal: str, disabled: str) -> QIcon:
    """Draw an icon once for each theme: the window has hundreds of buttons with a few icons."""
    made = QIcon()
    for size in _SIZES:
        made.addPixmap(_draw(name, normal, size), QIcon.Mode.Normal)
        made.addPixmap(_draw(name, disabled, size), QIcon.Mode.Disabled)
    return made


def _draw(name: str, color: str, size: int) -> QPixmap:
    renderer = QSvgRenderer(QByteArray(_source(name).replace("currentColor", color).encode()))
    pixmap = QPixmap(QSize(size, size))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    try:
        renderer.render(painter, QRectF(0, 0, size, size))
    finally:
        painter.end()
    return pixmap


@cache
def _source(name: str) -> str:
    return (assets() / "icons" / f"{name}.svg").read_text(encoding="utf-8")
