"""The Deploy tab: export the shown variant as a bundle that runs without Burnish."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from studio.core.exporter import ExportResult
from studio.ui.controller import Controller
from studio.ui.text import size

WHAT = (
    "A bundle holds the model, the recipe, run.py and verify.py (ONNX Runtime and numpy, no Burnish), golden inputs "
    "and outputs, and a manifest with hashes, measurements and the environment. On the target, verify.py re-checks the "
    "outputs and the latency."
)


class DeployTab(QWidget):
    """Choose a target and a file, export, open the folder."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._written: Path | None = None
        self._chosen = False
        self._variant = QLabel()
        self._variant.setProperty("heading", True)
        self._target = QComboBox()
        self._target.setAccessibleName("Target")
        registry = controller.session.work.registry
        for name in registry.ids("exporter"):
            self._target.addItem(registry.title("exporter", name), name)
        self._path = QLineEdit()
        self._path.setAccessibleName("File to write")
        self._path.textEdited.connect(self._on_edited)
        choose = QPushButton("Choose…")
        choose.clicked.connect(self._choose)
        self._export = QPushButton("Export")
        self._export.setProperty("primary", True)
        self._export.clicked.connect(self.export)
        self._folder = QPushButton("Open folder")
        self._folder.hide()
        self._folder.clicked.connect(self._open_folder)
        self._result = QLabel()
        self._result.setWordWrap(True)
        self._arrange(choose)
        controller.selected.connect(self._on_variant)
        controller.changed.connect(self._on_change)
        controller.busy.connect(self._on_busy)
        self._on_variant()

    def _arrange(self, choose: QPushButton) -> None:
        what = QLabel(WHAT)
        what.setWordWrap(True)
        what.setProperty("quiet", True)
        file = QHBoxLayout()
        file.addWidget(self._path, 1)
        file.addWidget(choose)
        form = QFormLayout()
        form.addRow("Variant", self._variant)
        form.addRow("Target", self._target)
        form.addRow("File", file)
        buttons = QHBoxLayout()
        buttons.addWidget(self._export)
        buttons.addWidget(self._folder)
        buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 20)
        layout.setSpacing(14)
        layout.addWidget(what)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self._result)
        layout.addStretch(1)

    def export(self) -> None:
        """Export the shown variant to the chosen file."""
        text = self._path.text().strip()
        if not self._controller.session.is_open or not text:
            self._result.setText("Choose a file to write first.")
            return
        self._result.setText("Exporting …")
        self._folder.hide()
        variant, exporter = self._controller.variant, str(self._target.currentData())
        self._controller.export(variant, exporter, Path(text).expanduser(), self._done)

    def set_path(self, path: Path) -> None:
        """Write to another file."""
        self._chosen = True
        self._path.setText(str(path))

    def _done(self, result: ExportResult) -> None:
        self._written = result.path
        files = ", ".join(result.files)
        self._result.setText(f"Written: {result.path} ({size(result.bytes)}).\nsha256 {result.sha256}\nIn it: {files}.")
        self._folder.show()

    def _choose(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Export", self._path.text(), "Bundle (*.zip);;All files (*)")
        if name:
            self.set_path(Path(name))

    def _open_folder(self) -> None:
        if self._written is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._written.parent)))

    # reactions

    def _on_edited(self) -> None:
        self._chosen = True

    def _on_busy(self, kind: str, busy: bool) -> None:
        if kind == "export":
            self._export.setEnabled(not busy)
            if not busy and self._result.text() == "Exporting …":
                self._result.setText("")

    def _on_change(self, topic: str) -> None:
        if topic in ("project", "variants"):
            self._on_variant()

    def _on_variant(self) -> None:
        """Name the shown variant, and propose a file until the user chose one."""
        session = self._controller.session
        if not session.is_open:
            return
        name = session.project.variant(self._controller.variant).name
        self._variant.setText(name)
        if not self._chosen:
            safe = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)
            stem = session.project.source_name.removesuffix(".onnx")
            self._path.setText(str(Path.home() / f"{stem}-{safe}.zip"))
