"""The guided tour: callouts beside the parts of the window; everything stays usable meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QRect, Qt, QTimer
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QWidget

from studio.ui.build import column, heading, named, row, words
from studio.ui.translate import tr

if TYPE_CHECKING:
    from studio.ui.window import MainWindow

_WIDTH, _GAP = 320, 12
#: milliseconds between two looks for a part that is not shown yet
_LOOK_MS = 200


@dataclass(frozen=True)
class Stop:
    """A part of the window and what is said about it."""

    title: str
    text: str
    part: Callable[[MainWindow], QWidget]


def stops() -> list[Stop]:
    """List what the tour shows, in order."""
    return [
        Stop(
            tr("Variants"),
            tr(
                "The opened model is the baseline. What you make of it hangs below it, with measured speed-up, change "
                "of accuracy and size."
            ),
            lambda window: window.workspace.variants,
        ),
        Stop(
            tr("The graph"),
            tr(
                "The model as a picture: scroll to zoom, click a node for its details, click a block to open it. "
                "Overlays colour it by what was measured."
            ),
            lambda window: window.workspace.tabs,
        ),
        Stop(
            tr("The recipe"),
            tr(
                "Switch passes on. Each says what it would touch and what to expect on this device; its parameters are "
                "behind the arrow."
            ),
            lambda window: window.workspace.recipe,
        ),
        Stop(
            tr("Apply and measure"),
            tr("Makes the variant, checks it against its source, and measures both in pairs. Try it now."),
            lambda window: window.workspace.recipe.measure,
        ),
        Stop(
            tr("Jobs"),
            tr("Everything heavy runs in processes of its own. Here they can be watched and cancelled."),
            lambda window: window.workspace.jobs,
        ),
        Stop(
            tr("The device"),
            tr("Surveys and benchmarks are for the device chosen here. Ctrl+K finds every action; F1 is help."),
            lambda window: window.devices,
        ),
    ]


class Tour(QFrame):
    """One callout at a time, beside a framed part of the window."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self.stops = stops()
        self.at = 0
        self._look = QTimer(self, interval=_LOOK_MS)
        self._look.timeout.connect(self._show)
        self._frame = QFrame(window)
        self._frame.setProperty("marked", True)
        self._frame.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._title, self._text = heading(""), words("", "")
        self._count = QLabel()
        self._count.setProperty("quiet", True)
        self.back = named(QPushButton(tr("Back")), tip=tr("The step before"))
        self.next = named(QPushButton(tr("Next")), tip=tr("The next step"))
        self.end = named(QPushButton(tr("End")), tip=tr("End the tour (Esc)"))
        self.back.clicked.connect(lambda: self.go(self.at - 1))
        self.next.clicked.connect(lambda: self.go(self.at + 1))
        self.end.clicked.connect(self.finish)
        self.setProperty("callout", True)
        self.setAccessibleName(tr("Guided tour"))
        self._lay_out()
        self.hide()
        self._frame.hide()

    def start(self) -> None:
        """Begin, on the sample when no model is open."""
        window = self._window
        if window.desk is None or not window.controller.session.is_open:
            window.open_sample()
        window.preferences.toured = True
        self.go(0)

    def go(self, step: int) -> None:
        """Show a step; behind the last the tour ends."""
        if not 0 <= step < len(self.stops):
            self.finish()
            return
        self.at = step
        self._show()

    def finish(self) -> None:
        """End the tour."""
        self._look.stop()
        self.hide()
        self._frame.hide()
        self._window.setFocus()

    def place(self) -> None:
        """Stay beside the part."""
        if self.isVisible():
            self._place(self._part())

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: D102
        if event.key() == Qt.Key.Key_Escape:
            self.finish()
        else:
            super().keyPressEvent(event)

    def _part(self) -> QWidget | None:
        if self._window.desk is None:
            return None
        part = self.stops[self.at].part(self._window)
        return part if part.isVisible() else None

    def _show(self) -> None:
        part = self._part()
        if part is None:
            self._look.start()
            return
        self._look.stop()
        stop = self.stops[self.at]
        self._title.setText(stop.title)
        self._text.setText(stop.text)
        self._count.setText(tr("{step} of {all}", step=self.at + 1, all=len(self.stops)))
        self.back.setEnabled(self.at > 0)
        self.next.setText(tr("Next") if self.at < len(self.stops) - 1 else tr("Done"))
        self._frame.show()
        self.show()
        self._place(part)
        self.next.setFocus(Qt.FocusReason.PopupFocusReason)

    def _place(self, part: QWidget | None) -> None:
        if part is None:
            return
        target = QRect(part.mapTo(self._window, QPoint(0, 0)), part.size())
        self._frame.setGeometry(target.adjusted(-2, -2, 2, 2))
        self._frame.raise_()
        self.setFixedWidth(_WIDTH)
        self.resize(_WIDTH, self.heightForWidth(_WIDTH) if self.hasHeightForWidth() else self.sizeHint().height())
        self.move(_beside(target, self.rect(), self._window.rect()))
        self.raise_()

    def _lay_out(self) -> None:
        buttons = row(spacing=6)
        buttons.addWidget(self._count)
        buttons.addStretch(1)
        for button in (self.end, self.back, self.next):
            buttons.addWidget(button)
        whole = column(self, spacing=8, margins=(14, 12, 14, 12))
        whole.addWidget(self._title)
        whole.addWidget(self._text)
        whole.addLayout(buttons)


def _beside(target: QRect, own: QRect, whole: QRect) -> QPoint:
    """Find a place right of the part, else left, above, below, else on it; always inside the window."""
    width, height = own.width(), own.height()
    if target.right() + _GAP + width <= whole.right():
        x, y = target.right() + _GAP, target.top()
    elif target.left() - _GAP - width >= whole.left():
        x, y = target.left() - _GAP - width, target.top()
    elif target.top() - _GAP - height >= whole.top():
        x, y = target.left(), target.top() - _GAP - height
    else:
        x, y = target.left(), target.bottom() + _GAP
    x = min(max(x, whole.left() + _GAP), whole.right() - width - _GAP)
    y = min(max(y, whole.top() + _GAP), whole.bottom() - height - _GAP)
    return QPoint(x, y)
