"""Charts and graphs as pictures: copied, or saved as PNG and SVG. One way for every widget that can paint itself."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QBuffer, QByteArray, QEvent, QIODevice, QObject, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QContextMenuEvent, QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QMenu, QToolButton, QWidget

from studio.core.atomic import write_atomic
from studio.ui.background import Background
from studio.ui.dialogs import ask_target

#: Paints the whole picture into an area that begins at the painter's origin.
Paint = Callable[[QPainter, QRectF], None]
#: pixels of a PNG for each pixel on the screen: sharp in print and on a dense screen
SCALE = 2.0
#: sides of a picture in pixels beyond which a PNG is drawn smaller
LARGEST = 12_000
#: pixels of a PNG at most: 160 MB while it is drawn
MOST_PIXELS = 40_000_000
DOTS_PER_INCH = 96
PNG, SVG = "Pictures (*.png)", "Drawings (*.svg)"


@dataclass(frozen=True)
class Picture:
    """Something to paint.

    Attributes
    ----------
    title
        What it shows: the title of the SVG, and the start of the file's name.
    size
        In pixels of the screen.
    """

    title: str
    size: QSize
    background: str
    paint: Paint

    @property
    def file_name(self) -> str:
        """A name for a file, without its ending."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or "picture"

    def image(self, scale: float = SCALE) -> QImage:
        """Paint it as pixels, `scale` of them for each pixel of the screen."""
        width, height = max(1, self.size.width()), max(1, self.size.height())
        scale = min(scale, LARGEST / max(width, height), math.sqrt(MOST_PIXELS / (width * height)))
        image = QImage(self.size * scale, QImage.Format.Format_ARGB32_Premultiplied)
        image.setDevicePixelRatio(scale)
        image.fill(QColor(self.background))
        painter = QPainter(image)
        try:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self.paint(painter, QRectF(0, 0, self.size.width(), self.size.height()))
        finally:
            # An exception with the painter still active would end the process.
            painter.end()
        return image

    def svg(self) -> str:
        """Paint it as SVG: lines and texts stay lines and texts."""
        data = QByteArray()
        sink = QBuffer(data)
        sink.open(QIODevice.OpenModeFlag.WriteOnly)
        generator = QSvgGenerator()
        generator.setOutputDevice(sink)
        generator.setResolution(DOTS_PER_INCH)
        generator.setSize(self.size)
        generator.setViewBox(QRect(QPoint(0, 0), self.size))
        generator.setTitle(self.title)
        generator.setDescription("Made by Burnish")
        painter = QPainter(generator)
        try:
            area = QRectF(0, 0, self.size.width(), self.size.height())
            painter.fillRect(area, QColor(self.background))
            self.paint(painter, area)
        finally:
            painter.end()
        sink.close()
        # Qt's name of the system's font is none that a browser knows.
        return bytes(data.data()).decode().replace('font-family="Sans Serif"', 'font-family="system-ui, sans-serif"')


def png_bytes(image: QImage) -> bytes:
    """Write an image as PNG; may be called off the GUI thread."""
    data = QByteArray()
    sink = QBuffer(data)
    sink.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(sink, "PNG")  # type: ignore[call-overload]
    sink.close()
    return bytes(data.data())


class PictureMenu(QObject):
    """Offers what a widget shows as a picture: in its context menu, and behind a small button in its corner.

    Parameters
    ----------
    widget
        The widget that shows it.
    make
        Gives the picture as it is now; None while there is nothing to show.
    more
        Further pictures of the same, by their names in the menu.
    failed
        Told of an error when a file cannot be written.
    corner
        Where the button stands.
    """

    def __init__(
        self,
        widget: QWidget,
        make: Callable[[], Picture | None],
        more: dict[str, Callable[[], Picture | None]] | None = None,
        *,
        failed: Callable[[object], None] | None = None,
        corner: Literal["top right", "bottom left"] = "top right",
    ) -> None:
        super().__init__(widget)
        self._widget, self._make, self._more = widget, make, more or {}
        self._failed, self._corner = failed, corner
        self._background = Background(self)
        self.button = QToolButton(widget)
        self.button.setText("⋯")
        self.button.setAutoRaise(True)
        self.button.setAccessibleName("Copy or save this picture")
        self.button.setToolTip("Copy or save this picture (PNG or SVG)")
        self.button.setFixedSize(26, 20)
        self.button.clicked.connect(lambda: self.show_menu(self.button.mapToGlobal(QPoint(0, self.button.height()))))
        widget.installEventFilter(self)
        self._place()

    def menu(self) -> QMenu:
        """Make the menu; it goes when it is closed."""
        menu = QMenu(self._widget)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        choices = {"": self._make, **self._more}
        for title, make in choices.items():
            behind = f" of {title}" if title else ""
            if title:
                menu.addSeparator()
            menu.addAction(f"Copy picture{behind}", partial(self._copy_made, make))
            menu.addAction(f"Save{behind} as PNG…", partial(self._ask, make, PNG))
            menu.addAction(f"Save{behind} as SVG…", partial(self._ask, make, SVG))
        menu.setEnabled(self._make() is not None)
        return menu

    def show_menu(self, where: QPoint) -> None:
        """Show the menu at a place of the screen."""
        self.menu().popup(where)

    def copy(self, picture: Picture | None) -> None:
        """Put a picture into the clipboard."""
        if picture is not None:
            QGuiApplication.clipboard().setImage(picture.image())

    def save(self, picture: Picture, path: Path) -> None:
        """Write a picture as what the file's name says: ``.svg``, else PNG."""
        if path.suffix.lower() == ".svg":
            text = picture.svg()
            self._background.run(lambda: write_atomic(path, text), failed=self._failed)
            return
        target, image = path if path.suffix else path.with_suffix(".png"), picture.image()
        # Packing the pixels takes longer than painting them.
        self._background.run(lambda: write_atomic(target, png_bytes(image)), failed=self._failed)

    def _copy_made(self, make: Callable[[], Picture | None]) -> None:
        self.copy(make())

    def _ask(self, make: Callable[[], Picture | None], pattern: str) -> None:
        picture = make()
        if picture is None:
            return
        suffix = ".svg" if pattern == SVG else ".png"

        def chosen(path: Path) -> None:
            self.save(picture, path if path.suffix.lower() in (".svg", ".png") else path.with_name(path.name + suffix))

        ask_target(self._widget, f"Save {picture.title}", picture.file_name + suffix, pattern, chosen)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: D102
        if isinstance(event, QContextMenuEvent):
            self.show_menu(event.globalPos())
            return True
        if watched is self._widget and event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _place(self) -> None:
        widget, button = self._widget, self.button
        if self._corner == "top right":
            button.move(widget.width() - button.width() - 2, 2)
        else:
            button.move(4, widget.height() - button.height() - 4)
        self.button.raise_()
