"""The empty window: what to do first, and what a session that ended unexpectedly left behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCommandLinkButton, QFrame, QLabel, QPushButton, QVBoxLayout, QWidget

from studio.ui.build import column, named, row, words
from studio.ui.theme import Tokens
from studio.ui.translate import tr

_RECENT = 4
_PICTURE = 64
_WIDTH = 560


@dataclass(frozen=True)
class Rescue:
    """What can be restored: how it is called, what it holds, and what the window knows it by."""

    title: str
    detail: str
    key: object


class Welcome(QWidget):
    """Says that a model may be dropped, and offers the sample, a tour, and what was open before."""

    open_asked = Signal()
    sample_asked = Signal()
    tour_asked = Signal()
    path_asked = Signal(object)
    #: the `Rescue.key` of what is to be restored or forgotten
    restore_asked = Signal(object)
    discard_asked = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture = QLabel(alignment=Qt.AlignmentFlag.AlignCenter)
        self._picture.setFixedHeight(_PICTURE)
        self.sample = named(
            QPushButton(tr("Open the sample")),
            tip=tr("A small trained classifier of handwritten digits, with data to measure its accuracy"),
        )
        self.sample.setProperty("primary", True)
        self.sample.clicked.connect(self.sample_asked)
        self.open = named(QPushButton(tr("Open model…")), tip=tr("Open an ONNX model from a file (Ctrl+O)"))
        self.open.clicked.connect(self.open_asked)
        self.tour = named(QPushButton(tr("Take the tour")), tip=tr("What is where in the window, in six steps"))
        self.tour.clicked.connect(self.tour_asked)
        self._state = _centred("")
        self._rescues = column(spacing=6)
        self._recent = column(spacing=0)
        self._recent_title = words(tr("Recent"))
        self._shown: list[Path] | None = None
        self._lay_out()
        self._recent_title.hide()

    def set_tokens(self, tokens: Tokens) -> None:
        """Colour the picture."""
        from studio.ui.icons import picture

        self._picture.setPixmap(picture("file-down", tokens.accent, _PICTURE))

    def set_busy(self, busy: bool) -> None:
        """Show that something is being opened."""
        self._state.setText(tr("Opening…") if busy else "")
        for button in (self.open, self.sample, self.tour):
            button.setDisabled(busy)

    def set_recent(self, paths: list[Path]) -> None:
        """List what was open before."""
        paths = paths[:_RECENT]
        if paths == self._shown:
            return
        self._shown = paths
        _clear(self._recent)
        self._recent_title.setVisible(bool(paths))
        for path in paths:
            button = named(
                QCommandLinkButton(path.name, str(path.parent)), tr("Open {name}", name=path.name), str(path)
            )
            button.clicked.connect(lambda _=False, path=path: self.path_asked.emit(path))
            self._recent.addWidget(button)

    def set_rescues(self, rescues: list[Rescue]) -> None:
        """Offer what sessions left behind that ended unexpectedly."""
        _clear(self._rescues)
        for rescue in rescues:
            self._rescues.addWidget(self._rescue(rescue))

    def _rescue(self, rescue: Rescue) -> QFrame:
        frame = QFrame()
        frame.setProperty("message", "warning")
        restore = named(
            QPushButton(tr("Restore")), tr("Restore {title}", title=rescue.title), tr("Open it as it was before")
        )
        discard = named(
            QPushButton(tr("Discard")), tr("Discard {title}", title=rescue.title), tr("Forget what was kept of it")
        )
        restore.clicked.connect(lambda: self.restore_asked.emit(rescue.key))
        discard.clicked.connect(lambda: self.discard_asked.emit(rescue.key))
        texts = column(spacing=1)
        texts.addWidget(words(tr("The last session ended unexpectedly: {title}", title=rescue.title), "heading"))
        texts.addWidget(words(rescue.detail, ""))
        line = row(frame, spacing=8, margins=(12, 8, 12, 8))
        line.addLayout(texts, 1)
        line.addWidget(restore)
        line.addWidget(discard)
        return frame

    def _lay_out(self) -> None:
        title = _centred(tr("Drop an ONNX model here"))
        title.setProperty("heading", True)
        font = title.font()
        font.setPointSizeF(font.pointSizeF() * 1.7)
        title.setFont(font)
        line = _centred(tr("See its graph, try optimization passes, and measure every variant on this machine."))
        keys = _centred(tr("Ctrl+K finds every action. F1 is help."))
        for label in (line, keys, self._state):
            label.setProperty("quiet", True)
        buttons = row(spacing=12)
        buttons.addStretch(1)
        for button in (self.open, self.sample, self.tour):
            buttons.addWidget(button)
        buttons.addStretch(1)
        below = QWidget()
        below.setMinimumWidth(_WIDTH)
        lists = column(below, spacing=12)
        lists.addLayout(self._rescues)
        lists.addWidget(self._recent_title)
        lists.addLayout(self._recent)
        whole = column(self, spacing=14)
        whole.addStretch(2)
        for item in (self._picture, title, line):
            whole.addWidget(item)
        whole.addLayout(buttons)
        whole.addWidget(self._state)
        whole.addWidget(below, 0, Qt.AlignmentFlag.AlignHCenter)
        whole.addWidget(keys)
        whole.addStretch(3)


def _centred(text: str) -> QLabel:
    return QLabel(text, alignment=Qt.AlignmentFlag.AlignCenter)


def _clear(layout: QVBoxLayout) -> None:
    while (item := layout.takeAt(0)) is not None:
        if (widget := item.widget()) is not None:
            widget.hide()
            widget.deleteLater()
