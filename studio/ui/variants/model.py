"""The variants as a tree model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QColor

from studio.core.project import Project, Variant
from studio.ui.text import difference, size
from studio.ui.theme import Tokens
from studio.ui.variants.figures import Figures

Index = QModelIndex | QPersistentModelIndex
COLUMNS = ("Variant", "Speed-up", "Accuracy", "Size")
NAME, SPEED, ACCURACY, SIZE = range(4)
ID_ROLE = Qt.ItemDataRole.UserRole
#: shapes beside the colours, so that the verdict can be read without them
_ARROWS = {"faster": "▲", "slower": "▼", "no significant difference": "≈"}
_NOTHING = Figures()


class VariantModel(QAbstractItemModel):
    """Baseline at the root, each variant below what it was made from.

    Editing a name changes nothing here: `rename_asked` tells the variant's id and the wish, and the
    document that comes of it is set again.
    """

    rename_asked = Signal(str, str)

    def __init__(self, tokens: Tokens, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tokens = tokens
        self._project: Project | None = None
        self._variants: tuple[Variant, ...] = ()
        self._rows: dict[str, int] = {}
        self._children: dict[str | None, list[int]] = {}
        self._figures: Mapping[str, Figures] = {}

    def set_project(self, project: Project | None) -> None:
        """Show another document."""
        self.beginResetModel()
        self._project = project
        self._variants = project.variants if project else ()
        self._rows = {variant.id: row for row, variant in enumerate(self._variants)}
        self._children = {}
        for row, variant in enumerate(self._variants):
            self._children.setdefault(variant.parent, []).append(row)
        self.endResetModel()

    def set_figures(self, figures: Mapping[str, Figures]) -> None:
        """Show other figures, by sha256 of the model."""
        self._figures = figures
        self._redraw(QModelIndex())

    def set_tokens(self, tokens: Tokens) -> None:
        """Use another theme's colours."""
        self._tokens = tokens
        self._redraw(QModelIndex())

    def variant(self, index: Index) -> Variant | None:
        """Give the variant of a row."""
        return self._variants[index.internalId()] if index.isValid() else None

    def index_of(self, variant: str) -> QModelIndex:
        """Find a variant's row by its id."""
        number = self._rows.get(variant)
        if number is None:
            return QModelIndex()
        siblings = self._children[self._variants[number].parent]
        return self.createIndex(siblings.index(number), 0, number)

    # the model's contract

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, D102
        if parent.column() > 0:
            return 0
        return len(self._children.get(self._id(parent), ()))

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, D102
        return len(COLUMNS)

    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:  # noqa: B008, D102
        rows = self._children.get(self._id(parent), [])
        if parent.column() > 0 or not (0 <= row < len(rows) and 0 <= column < len(COLUMNS)):
            return QModelIndex()
        return self.createIndex(row, column, rows[row])

    def parent(self, child: Index | None = None) -> Any:  # noqa: D102
        if child is None:
            return super().parent()
        variant = self.variant(child)
        if variant is None or variant.parent is None:
            return QModelIndex()
        return self.index_of(variant.parent)

    def headerData(  # noqa: D102
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and 0 <= section < len(COLUMNS):
            if role == Qt.ItemDataRole.DisplayRole:
                return COLUMNS[section]
            if role == Qt.ItemDataRole.ToolTipRole:
                return _HEADER_TIPS[section]
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: D102
        variant = self.variant(index)
        if variant is None:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(variant, index.column())
        if role == Qt.ItemDataRole.EditRole and index.column() == NAME:
            return variant.name
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(variant, index.column())
        if role == Qt.ItemDataRole.ForegroundRole:
            return self._color(variant, index.column())
        return variant.id if role == ID_ROLE else None

    def flags(self, index: Index) -> Qt.ItemFlag:  # noqa: D102
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsEditable if index.isValid() and index.column() == NAME else flags

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:  # noqa: D102
        variant = self.variant(index)
        if variant is not None and role == Qt.ItemDataRole.EditRole and value != variant.name:
            self.rename_asked.emit(variant.id, str(value))
        return False

    def _id(self, parent: Index) -> str | None:
        variant = self.variant(parent)
        return variant.id if variant else None

    def _text(self, variant: Variant, column: int) -> str:
        found = self._figures.get(variant.model, _NOTHING)
        if column == NAME:
            return variant.name
        if column == SIZE:
            return size(variant.bytes)
        if column == SPEED:
            if variant.parent is None:
                return "1.00x"
            return f"{_ARROWS[found.speed.verdict]} {found.speed.text}" if found.speed else "–"
        if found.accuracy is None:
            return "–"
        gap = found.accuracy.difference
        if gap is None or variant.parent is None:
            return _value(found)
        return difference(gap, found.accuracy.unit).partition(" (")[0]

    def _tip(self, variant: Variant, column: int) -> str:
        found = self._figures.get(variant.model, _NOTHING)
        if column == SPEED and found.speed is not None:
            pairs = f"{found.speed.pairs} pairs"
            return f"{found.speed.text}: {found.speed.verdict}; {pairs} with the baseline, 95 % interval"
        if column == ACCURACY and found.accuracy is not None:
            gap = found.accuracy.difference
            verdict = ("significant" if gap.significant else "no significant difference") if gap else ""
            change = f"; against the baseline {difference(gap, found.accuracy.unit)}: {verdict}" if gap else ""
            return f"{found.accuracy.title}: {_value(found)} on {found.accuracy.dataset}{change}"
        if column == SIZE and self._project is not None:
            share = variant.bytes / max(1, self._project.baseline.bytes)
            return f"{variant.bytes:,} bytes, {share:.2f} of the baseline; {variant.nodes} nodes"
        if column in (SPEED, ACCURACY):
            return "Not measured on this device yet"
        made = f"made by {variant.step.pass_id}" if variant.step else "the model that was opened"
        return "\n".join((f"{variant.name}: {made}", *variant.warnings))

    def _color(self, variant: Variant, column: int) -> QColor | None:
        found = self._figures.get(variant.model, _NOTHING)
        tokens = self._tokens
        if column == SPEED and found.speed is not None:
            colors = {"faster": tokens.good, "slower": tokens.bad}
            return QColor(colors.get(found.speed.verdict, tokens.neutral))
        gap = found.accuracy.difference if found.accuracy else None
        if column == ACCURACY and gap is not None and gap.significant:
            return QColor(tokens.good if gap.value > 0 else tokens.bad)
        return None

    def _redraw(self, parent: QModelIndex) -> None:
        rows = self.rowCount(parent)
        if rows:
            self.dataChanged.emit(self.index(0, 0, parent), self.index(rows - 1, len(COLUMNS) - 1, parent))
        for row in range(rows):
            self._redraw(self.index(row, 0, parent))


_HEADER_TIPS = (
    "The models of this project; each is made from the one above it",
    "Latency of the baseline over that of the variant, measured in pairs: above 1 is faster (95 % interval)",
    "Change of the metric against the baseline on the same samples; pp are percentage points",
    "Bytes of the model on disk",
)


def _value(found: Figures) -> str:
    assert found.accuracy is not None
    estimate, unit = found.accuracy.estimate, found.accuracy.unit
    return f"{100 * estimate.value:.2f} %" if unit == "fraction" else f"{estimate.value:.2f} {unit}".strip()
