"""What data is used, how it is read, and what speaks against it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QFormLayout, QLineEdit, QPushButton, QScrollArea, QWidget

from studio.analysis.data_check import check_data
from studio.core.datacheck.findings import DataCheck
from studio.core.errors import BurnishError
from studio.core.project import BASELINE, with_settings
from studio.jobs.tasks.subject import Subject
from studio.ui.build import column, named, row, words
from studio.ui.controller import Controller
from studio.workbench import Said

DATA_FILTER = "Data (*.npz *.csv *.jsonl);;All files (*)"
#: setting to its title, what is typed, and what it means
FIELDS = {
    "evaluation": ("Evaluation data", "held-out.npz", "Samples with labels that accuracy is measured on"),
    "calibration": ("Calibration data", "samples.npz", "Samples of real inputs that quantization and pruning look at"),
    "preprocess": (
        "Preprocessing",
        "imagenet or resize=256,crop=224,mean=…",
        "How pictures are prepared; see the help on preprocessing",
    ),
    "read": (
        "Reading",
        "tokenizer=tokenizer.json,text=question",
        "How text, audio and labels are read; see the help",
    ),
    "split": ("Split", "calibration=200,evaluation=rest", "Which part of the same data each is; see the help on data"),
}
CHECKED = "Nothing speaks against the data: {samples:,} samples of {dataset} were looked at on {device}."


class DataPage(QWidget):
    """Edits the project's settings of data, and checks them against the model."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.fields: dict[str, QLineEdit] = {}
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        for key, (title, example, tip) in FIELDS.items():
            field = named(QLineEdit(placeholderText=example), title, tip)
            field.editingFinished.connect(partial(self._commit, key))
            self.fields[key] = field
            line = row()
            line.addWidget(field, 1)
            if key in ("evaluation", "calibration"):
                choose = named(QPushButton("Choose…"), f"Choose {title.lower()}", tip)
                choose.clicked.connect(partial(self._choose, key))
                line.addWidget(choose)
            form.addRow(title, line)
        self.check = named(QPushButton("Check the data"), tip="Look for what speaks against the data for this model")
        self.check.clicked.connect(self._ask)
        self.findings = words("", look="")
        self.note = words()
        inner = QWidget()
        inside = column(inner, margins=(8, 8, 8, 8), spacing=10)
        inside.addLayout(form)
        inside.addWidget(self.check, 0, Qt.AlignmentFlag.AlignLeft)
        inside.addWidget(self.findings)
        inside.addWidget(self.note)
        inside.addStretch(1)
        area = QScrollArea(widgetResizable=True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setWidget(inner)
        column(self).addWidget(area)
        controller.changed.connect(self._on_change)
        self.refresh()

    def refresh(self) -> None:
        """Show the project's settings."""
        session = self._controller.session
        settings = session.project.settings if session.is_open else None
        for key, field in self.fields.items():
            text = str(getattr(settings, key)) if settings is not None else ""
            if field.text() != text and not field.isModified():
                field.setText(text)
            field.setEnabled(settings is not None)
        self.check.setEnabled(settings is not None)

    def set_field(self, key: str, text: str) -> None:
        """Change a setting; what cannot be understood is said and not taken."""
        session, controller = self._controller.session, self._controller
        if not session.is_open or text == getattr(session.project.settings, key):
            return
        title = FIELDS[key][0].lower()

        def work() -> None:
            project = with_settings(session.project, **{key: text})
            settings = project.settings
            said = Said(preprocess=settings.preprocess, read=settings.read, split=settings.split)
            session.work.described(None, said, "evaluation")  # says what cannot be understood
            session.edit(f"change the {title}", lambda document: with_settings(document, **{key: text}))

        controller.background.serial(work, failed=controller.failed.emit)

    def _commit(self, key: str) -> None:
        field = self.fields[key]
        field.setModified(False)
        self.set_field(key, field.text().strip())

    def _choose(self, key: str) -> None:
        name, _ = QFileDialog.getOpenFileName(self, FIELDS[key][0], "", DATA_FILTER)
        if name:
            self.set_field(key, str(Path(name)))

    def _ask(self) -> None:
        session, watch, spec = self._controller.session, self._controller.watch, self._controller.device
        self.check.setEnabled(False)
        self.findings.setText("Checking …")

        def work() -> tuple[DataCheck, int]:
            data = session.data()
            subject = Subject(
                name=session.project.baseline.name, artifact=session.artifact(BASELINE), device=session.device(spec)
            )
            found = check_data(session.work, subject, data.evaluation or data.calibration, watch=watch)
            return found, session.overlap(data, watch=watch)

        def done(found: tuple[DataCheck, int]) -> None:
            self.check.setEnabled(True)
            self.findings.setText("\n\n".join(findings(*found)))
            self.note.setText("\n".join(found[0].limits))

        def end(error: BurnishError | None = None) -> None:
            self.check.setEnabled(True)
            self.findings.setText("")
            if error is not None:
                self._controller.failed.emit(error)

        self._controller.background.run(work, done, end, end)

    def _on_change(self, topic: str) -> None:
        if topic in ("project", "variants"):
            self.refresh()


def findings(check: DataCheck, shared: int) -> list[str]:
    """Write what speaks against the data, the gravest first; one line that nothing does."""
    lines = [f"{'✖' if item.severity == 'wrong' else '▲'} {item.text}" for item in check.findings]
    if shared:
        lines.append(
            f"▲ {shared:,} evaluation samples are calibration samples too: the accuracy looks better than it is. "
            "Split the data, or use other samples."
        )
    if not lines:
        dataset = "generated inputs" if check.synthetic else check.dataset
        lines.append(CHECKED.format(samples=check.samples, dataset=dataset, device=check.device))
    return lines
