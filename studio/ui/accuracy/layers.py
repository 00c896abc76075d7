"""The error along the graph: SQNR of every tensor that a variant and the baseline both have."""

from __future__ import annotations

from PySide6.QtWidgets import QPushButton, QWidget

from studio.core.layererrors import LayerErrors, TensorError
from studio.ui.accuracy.asking import CHOOSE, keep_in_float, shown_variant
from studio.ui.accuracy.table import Row, RowsTable
from studio.ui.build import column, named, row, words
from studio.ui.controller import Controller
from studio.ui.graph.facts import facts_of
from studio.ui.graph.shown import shown

HEADS = (
    ("Layer", "Node of the baseline that makes the tensor"),
    ("Operator", "What it computes"),
    ("SQNR", "Signal to quantization noise ratio in dB: 40 dB is an error of one per cent"),
    ("Falls by", "How far the SQNR lies below the worst tensor that the layer takes"),
    ("Max error", "Largest difference of an element, beside the largest value"),
    ("Cosine", "Mean cosine similarity of a sample's tensor in both models"),
)


class LayersPage(QWidget):
    """A table of layers, the first that breaks the accuracy named, and what to do about one."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self._facts = facts_of(controller)
        self.note = words(CHOOSE)
        self.ask = named(QPushButton("Compare layers"), tip="Run both models on the same samples, tensor by tensor")
        self.ask.clicked.connect(self._ask)
        self.table = RowsTable("Error of each layer", HEADS)
        self.show_node = named(QPushButton("Show in the graph"), tip="Select the layer in the graph")
        self.show_node.clicked.connect(self._on_show)
        self.keep = named(
            QPushButton("Keep this layer in float"), tip="Leave the layer out of the steps that lower precision"
        )
        self.keep.clicked.connect(self._on_keep)
        above, below = row(), row()
        above.addWidget(self.ask)
        above.addWidget(self.note, 1)
        below.addStretch(1)
        below.addWidget(self.show_node)
        below.addWidget(self.keep)
        layout = column(self, margins=(8, 8, 8, 8))
        layout.addLayout(above)
        layout.addWidget(self.table, 1)
        layout.addLayout(below)
        self.table.doubleClicked.connect(lambda _: self._on_show())
        self.table.selectionModel().currentChanged.connect(lambda *_: self._enable())
        self._facts.found.connect(self.refresh)
        self._facts.failed.connect(lambda _: self.refresh())
        controller.selected.connect(lambda _: self.refresh())
        controller.changed.connect(self._on_change)
        self.refresh()

    def refresh(self) -> None:
        """Show what is known of the shown variant."""
        variant = shown_variant(self._controller)
        self.ask.setEnabled(variant is not None)
        errors = None
        if variant is None:
            self.note.setText(CHOOSE)
        else:
            model = shown(self._controller.session, variant.id)
            errors = self._facts.get("errors", model)
            waiting = self._facts.waiting("errors", model)
            self.ask.setEnabled(not waiting and errors is None)
            self.note.setText(waiting or (summary(errors) if errors is not None else "Which layer loses accuracy?"))
        rows = [_row(item) for item in errors.tensors] if errors is not None else []
        if rows != list(self.table.rows.rows):
            self.table.set_rows(rows)
        self._enable()

    def _ask(self) -> None:
        variant = shown_variant(self._controller)
        if variant is not None:
            self._facts.ask("errors", shown(self._controller.session, variant.id))
            self.refresh()

    def _enable(self) -> None:
        for button in (self.show_node, self.keep):
            button.setEnabled(self.table.chosen is not None)

    def _on_show(self) -> None:
        chosen = self.table.chosen
        if chosen is not None:
            self._controller.node_asked.emit(chosen.subject.other_node)

    def _on_keep(self) -> None:
        chosen = self.table.chosen
        if chosen is not None:
            keep_in_float(self._controller, chosen.subject.node)

    def _on_change(self, topic: str) -> None:
        if topic in ("project", "variants", "devices"):
            self.refresh()


def summary(errors: LayerErrors) -> str:
    """Say in one line where the error arises, and on what that stands."""
    data = "generated inputs" if errors.synthetic else errors.dataset
    where = f"The error jumps first at {errors.first_jump}. " if errors.first_jump else "The error jumps nowhere. "
    unmatched = sum(len(names) for names in errors.unmatched.values())
    rest = f"; {unmatched:,} layers have no counterpart" if unmatched else ""
    more = f" {' '.join(errors.warnings)}" if errors.warnings else ""
    return f"{where}{len(errors.tensors):,} tensors, {errors.samples:,} samples of {data}, {errors.device}{rest}.{more}"


def _row(item: TensorError) -> Row:
    jump = "▲ " if item.jump else ""
    return Row(
        cells=(
            item.node,
            item.operator,
            f"{item.sqnr_db:.1f} dB",
            f"{jump}{item.drop_db:.1f} dB",
            f"{item.max_abs_error:.3g} of {item.largest:.3g}",
            f"{item.cosine:.5f}",
        ),
        keys=(item.node, item.operator, item.sqnr_db, -item.drop_db, -item.max_abs_error, item.cosine),
        tip="The error jumps here" if item.jump else "",
        subject=item,
    )
