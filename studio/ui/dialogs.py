"""File dialogs, shown without blocking: each calls back with the path that was chosen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from studio.ui.translate import tr

Chosen = Callable[[Path], None]


def ask_file(parent: QWidget, title: str, pattern: str, chosen: Chosen) -> QFileDialog:
    """Ask for a file that exists."""
    dialog = _dialog(parent, title, chosen)
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    dialog.setNameFilters([pattern, tr("All files (*)")])
    dialog.open()
    return dialog


def ask_folder(parent: QWidget, title: str, chosen: Chosen) -> QFileDialog:
    """Ask for a folder that exists."""
    dialog = _dialog(parent, title, chosen)
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.open()
    return dialog


def ask_target(parent: QWidget, title: str, name: str, pattern: str, chosen: Chosen) -> QFileDialog:
    """Ask where to write."""
    dialog = _dialog(parent, title, chosen)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setNameFilters([pattern, tr("All files (*)")])
    dialog.selectFile(name)
    dialog.open()
    return dialog


def confirm(parent: QWidget, title: str, text: str, accept: str, reject: str) -> bool:
    """Ask before something is lost; `reject` is the default and what Escape means."""
    box = QMessageBox(QMessageBox.Icon.Warning, title, text, parent=parent)
    go_on = box.addButton(accept, QMessageBox.ButtonRole.DestructiveRole)
    stay = box.addButton(reject, QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(stay)
    box.setEscapeButton(stay)
    box.exec()
    chosen = box.clickedButton() is go_on
    box.deleteLater()
    return chosen


def _dialog(parent: QWidget, title: str, chosen: Chosen) -> QFileDialog:
    dialog = QFileDialog(parent, title)
    dialog.fileSelected.connect(lambda text: chosen(Path(text)))
    dialog.finished.connect(dialog.deleteLater)
    return dialog
