"""The samples on which a variant and the baseline differ: what they are, both answers, and where the models part."""

from __future__ import annotations

import base64

from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QPixmap
from PySide6.QtWidgets import QLabel, QPushButton, QSplitter, QWidget

from studio.analysis.disagreements import disagreements
from studio.analysis.sample import look_at_sample
from studio.core.disagreement import Disagreements, SampleDifference
from studio.core.errors import BurnishError
from studio.core.sampleview import Answer, InputView, SampleView
from studio.ui.accuracy.asking import CHOOSE, keep_in_float, pair, shown_variant
from studio.ui.accuracy.table import Row, RowsTable
from studio.ui.build import column, heading, named, row, words
from studio.ui.controller import Controller

HEADS = (
    ("Sample", "Its place in the data, from 0"),
    ("Label", "What it is, where the data says so"),
    ("Baseline", "Class that the baseline chooses"),
    ("Variant", "Class that the variant chooses"),
    ("Verdict", "Broken: only the baseline was right; mended: only the variant is; changed: another class"),
    ("Margin", "Probability by which the baseline prefers its own class: a large one is a grave change"),
    ("SQNR", "Of the sample's outputs, in dB"),
    ("Parts at", "The first layer at which the error jumps, else where it grows most"),
)
SIDE = 180


class SamplesPage(QWidget):
    """A list of samples, and one of them in full."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._known: dict[tuple[str, ...], Disagreements] = {}
        self._waiting: set[tuple[str, ...]] = set()
        self._looked = ""
        self.note = words(CHOOSE)
        self.ask = named(QPushButton("Find disagreements"), tip="Run both on every sample, and list the gravest")
        self.ask.clicked.connect(self._ask)
        self.table = RowsTable("Samples on which both models differ", HEADS)
        self.table.selectionModel().currentChanged.connect(lambda *_: self._on_choice())
        self.detail = SampleDetail()
        self.detail.show_node.clicked.connect(self._on_show)
        self.detail.keep.clicked.connect(self._on_keep)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.addWidget(self.table)
        split.addWidget(self.detail)
        split.setStretchFactor(0, 1)
        split.setSizes([560, 300])
        above = row()
        above.addWidget(self.ask)
        above.addWidget(self.note, 1)
        layout = column(self, margins=(8, 8, 8, 8))
        layout.addLayout(above)
        layout.addWidget(split, 1)
        controller.selected.connect(lambda _: self.refresh())
        controller.changed.connect(self._on_change)
        self.refresh()

    def refresh(self) -> None:
        """Show what is known of the shown variant."""
        variant = shown_variant(self._controller)
        known = self._known.get(self._key()) if variant is not None else None
        waiting = variant is not None and self._key() in self._waiting
        self.ask.setEnabled(variant is not None and not waiting and known is None)
        if variant is None:
            self.note.setText(CHOOSE)
        elif waiting:
            self.note.setText(f"Running {variant.name} and the baseline …")
        else:
            self.note.setText("On which samples do they differ?" if known is None else summary(known))
        rows = [_row(item) for item in known.listed] if known is not None else []
        if rows != list(self.table.rows.rows):
            self.table.set_rows(rows)
            self._on_choice()

    def _key(self) -> tuple[str, ...]:
        session = self._controller.session
        settings = session.project.settings
        made = session.project.variant(self._controller.variant).model
        data = (settings.evaluation, settings.calibration, settings.preprocess, settings.read, settings.split)
        return made, session.project.baseline.model, self._controller.device, *data

    def _ask(self) -> None:
        key, session = self._key(), self._controller.session
        variant, device, watch = self._controller.variant, self._controller.device, self._controller.watch
        self._waiting.add(key)

        def work() -> Disagreements:
            both = pair(session, variant, device)
            return disagreements(
                session.work, both.source, both.variant, both.data, provenance=both.provenance, watch=watch
            )

        def done(found: Disagreements) -> None:
            self._waiting.discard(key)
            self._known[key] = found
            self.refresh()

        def end(error: BurnishError | None = None) -> None:
            self._waiting.discard(key)
            self.refresh()
            if error is not None:
                self._controller.failed.emit(error)

        self._controller.background.run(work, done, end, end)
        self.refresh()

    def _on_choice(self) -> None:
        """Show the chosen sample, which a worker reads."""
        chosen = self.table.chosen
        self.detail.clear_sample(chosen.subject if chosen is not None else None)
        self._looked = ""
        if chosen is None:
            return
        session, index = self._controller.session, chosen.subject.index
        variant, device, watch = self._controller.variant, self._controller.device, self._controller.watch
        self._looked = key = f"{variant} {device} {index}"

        def work() -> SampleView:
            both = pair(session, variant, device)
            return look_at_sample(session.work, both.source, both.variant, both.data, index, watch=watch)

        def done(found: SampleView) -> None:
            if self._looked == key:
                self.detail.show_sample(found)

        self._controller.background.run(work, done, self._controller.failed.emit)

    def _on_show(self) -> None:
        chosen = self.table.chosen
        if chosen is not None and chosen.subject.parting is not None:
            variant = shown_variant(self._controller)
            node = chosen.subject.parting.node
            origins = variant.provenance if variant is not None else {}
            self._controller.node_asked.emit(counterpart(node, origins))

    def _on_keep(self) -> None:
        chosen = self.table.chosen
        if chosen is not None and chosen.subject.parting is not None:
            keep_in_float(self._controller, chosen.subject.parting.node)

    def _on_change(self, topic: str) -> None:
        if topic in ("project", "variants", "devices"):
            self.refresh()


class SampleDetail(QWidget):
    """One sample: its inputs, what both models answer, and the layer at which they part."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = heading("")
        self.picture = QLabel()
        self.picture.setAccessibleName("Picture of the sample")
        self.inputs = words()
        self.before, self.after, self.parting = words(look=""), words(look=""), words()
        self.show_node = named(QPushButton("Show the layer"), tip="Select the layer at which they part in the graph")
        self.keep = named(
            QPushButton("Keep this layer in float"), tip="Leave the layer out of the steps that lower precision"
        )
        layout = column(self, margins=(8, 0, 0, 0))
        for part in (self.title, self.picture, self.inputs, self.before, self.after, self.parting):
            layout.addWidget(part)
        buttons = row()
        buttons.addWidget(self.show_node)
        buttons.addWidget(self.keep)
        buttons.addStretch(1)
        layout.addLayout(buttons)
        layout.addStretch(1)
        self.clear_sample(None)

    def clear_sample(self, chosen: SampleDifference | None) -> None:
        """Say what is known of a sample before it was read."""
        self.title.setText(f"Sample {chosen.index}" if chosen is not None else "Choose a sample")
        for part in (self.picture, self.inputs, self.before, self.after):
            part.clear()
        parting = chosen.parting if chosen is not None else None
        self.parting.setText(
            f"They part at {parting.node} ({parting.operator}): {parting.sqnr_db:.1f} dB" if parting is not None else ""
        )
        for button in (self.show_node, self.keep):
            button.setEnabled(parting is not None)
            button.setVisible(chosen is not None)

    def show_sample(self, found: SampleView) -> None:
        """Show a sample that was read."""
        label = f", label {found.label}" if found.label else ""
        self.title.setText(f"Sample {found.index}{label}")
        first = next((item for item in found.inputs if item.kind == "picture"), None)
        if first is not None:
            self.picture.setPixmap(pixmap(first, self.devicePixelRatioF()))
        others = [f"{item.name}: {item.text}" for item in found.inputs if item.kind != "picture"]
        self.inputs.setText("\n".join(others))
        self.inputs.setVisible(bool(others))
        self.before.setText("Baseline: " + "; ".join(answer(item) for item in found.before))
        self.after.setText("Variant: " + "; ".join(answer(item) for item in found.after))


def pixmap(view: InputView, ratio: float) -> QPixmap:
    """Make a picture that is `SIDE` pixels on its longer side; small ones show their pixels as squares."""
    data = base64.b64decode(view.pixels)
    image = QImage(data, view.width, view.height, 3 * view.width, QImage.Format.Format_RGB888).copy()
    side = round(SIDE * ratio)
    small = max(view.width, view.height) < side
    how = Qt.TransformationMode.FastTransformation if small else Qt.TransformationMode.SmoothTransformation
    made = QPixmap.fromImage(image.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio, how))
    made.setDevicePixelRatio(ratio)
    return made


def answer(item: Answer) -> str:
    """Write an output."""
    if item.classes:
        return ", ".join(f"class {index} {100 * share:.1f} %" for index, share in item.classes[:3])
    shape = " x ".join(str(size) for size in item.shape)
    return f"{item.name} ({shape}): " + ", ".join(f"{value:.4g}" for value in item.values[:6])


def counterpart(node: str, provenance: dict[str, tuple[str, ...]]) -> str:
    """Name the variant's node that a node of the baseline became: that of its name, else the last that came from it."""
    if node in provenance:
        return node
    return next((name for name, origins in reversed(provenance.items()) if node in origins), node)


def summary(found: Disagreements) -> str:
    """Say in one line how often they differ."""
    data = "generated inputs" if found.synthetic else found.dataset
    verdicts = ", ".join(f"{count:,} {verdict}" for verdict, count in found.verdicts.items())
    listed = f"; the {len(found.listed)} gravest are listed" if found.differing > len(found.listed) else ""
    worst = next(iter(found.partings), "")
    where = f" Most part at {worst}." if worst else ""
    more = f" {' '.join(found.warnings)}" if found.warnings else ""
    return (
        f"They differ on {found.differing:,} of {found.samples:,} samples of {data}"
        f"{f': {verdicts}' if verdicts else ''}{listed}.{where}{more}"
    )


def _row(item: SampleDifference) -> Row:
    def text(value: int | None) -> str:
        return "–" if value is None else str(value)

    margin = f"{100 * item.margin:.1f} %" if item.margin is not None else "–"
    parting = item.parting.node if item.parting is not None else "–"
    cells = (
        str(item.index),
        text(item.label),
        text(item.before),
        text(item.after),
        item.verdict,
        margin,
        f"{item.sqnr_db:.1f} dB",
        parting,
    )
    numbers = [-1 if value is None else value for value in (item.label, item.before, item.after)]
    keys = (item.index, *numbers, item.verdict, -(item.margin or 0.0), item.sqnr_db, parting)
    return Row(cells=cells, keys=keys, subject=item)
