"""The settings: a page beside the work, every change taken over at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QDialog, QFormLayout, QPushButton, QSpinBox

from studio.ui.build import column, named, words
from studio.ui.theme import Choice
from studio.ui.translate import tr

if TYPE_CHECKING:
    from studio.ui.window import MainWindow

_LARGEST_GB = 100_000


class SettingsPage(QDialog):
    """Shows and changes a window's `Preferences`; not modal."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self.setWindowTitle(tr("Settings"))
        self.setModal(False)
        prefer = window.preferences
        self.theme = named(QComboBox(), tr("Theme"), tr("Light, dark, or what the desktop says"))
        for name, text in (("system", tr("As the system")), ("light", tr("Light")), ("dark", tr("Dark"))):
            self.theme.addItem(text, name)
        self.theme.activated.connect(lambda row: window.set_theme(cast(Choice, self.theme.itemData(row))))
        self.cache = _number(
            tr("Cache limit"), tr("What the models that passes made may take on disk; the oldest go first"), tr(" GB")
        )
        self.cache.setSpecialValueText(tr("10 GB, or a tenth of the disk"))
        self.memory = _number(
            tr("Memory of a worker"), tr("A job that takes more is ended, so that the machine stays usable"), tr(" GB")
        )
        self.memory.setSpecialValueText(tr("What the machine has free"))
        self.threads = _number(
            tr("Threads"), tr("Threads for one inference in the benchmarks that the window starts"), ""
        )
        self.threads.setSpecialValueText(tr("The runtime chooses"))
        self.notify = named(
            QCheckBox(tr("Tell the desktop when long work ends")),
            tr("Notifications"),
            tr("When it took more than ten seconds and another window is in front"),
        )
        self.tour = named(QPushButton(tr("Take the tour")), tip=tr("What is where in the window, in six steps"))
        self.cache.valueChanged.connect(lambda value: setattr(prefer, "cache_gigabytes", value))
        self.memory.valueChanged.connect(lambda value: setattr(prefer, "worker_gigabytes", value))
        self.threads.valueChanged.connect(lambda value: setattr(prefer, "threads", value))
        self.notify.toggled.connect(lambda on: setattr(prefer, "notify", on))
        self.tour.clicked.connect(window.show_tour)
        self._lay_out()

    def open_page(self) -> None:
        """Show what is set now."""
        prefer = self._window.preferences
        self.theme.setCurrentIndex(self.theme.findData(prefer.theme))
        for box, value in (
            (self.cache, prefer.cache_gigabytes),
            (self.memory, prefer.worker_gigabytes),
            (self.threads, prefer.threads),
        ):
            with QSignalBlocker(box):
                box.setValue(value)
        with QSignalBlocker(self.notify):
            self.notify.setChecked(prefer.notify)
        self.show()
        self.raise_()
        self.activateWindow()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setSpacing(10)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        form.addRow(tr("&Theme"), self.theme)
        form.addRow(tr("&Cache limit"), self.cache)
        form.addRow(tr("&Memory of a worker"), self.memory)
        form.addRow(tr("Th&reads"), self.threads)
        form.addRow("", self.notify)
        form.addRow("", self.tour)
        whole = column(self, spacing=14, margins=(20, 18, 20, 18))
        whole.addLayout(form)
        whole.addWidget(words(tr("Cache limit and memory count from the next start.")))


def _number(name: str, tip: str, unit: str) -> QSpinBox:
    box = named(QSpinBox(), name, tip)
    box.setRange(0, _LARGEST_GB)
    box.setSuffix(unit)
    box.setMinimumWidth(260)
    return box
