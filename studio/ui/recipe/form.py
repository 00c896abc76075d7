"""A form for the parameters of a pass, made from their one declaration and checked while typing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QFormLayout, QLabel, QWidget

from studio.core.errors import UsageError
from studio.core.params import Params, describe, parse_params
from studio.ui.build import column, named, words
from studio.ui.recipe.fields import Field


class ParamsForm(QWidget):
    """Edits the parameters; `changed` gives those that differ from their defaults, only while all are valid."""

    changed = Signal(dict)

    def __init__(self, params: type[Params], owner: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._params = params
        self._owner = owner
        self.fields = {spec.name: Field(spec) for spec in describe(params)}
        self._rows = QFormLayout()
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        self._rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._advanced = QCheckBox("Advanced")
        self._advanced.setObjectName("advanced")
        self._advanced.toggled.connect(self._show_advanced)
        self._error = words(look="bad")
        self._lay_out()

    @property
    def error(self) -> str:
        """What is wrong with what was typed; empty when all is valid."""
        return self._error.text()

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show values; a parameter that is not named gets its default."""
        for name, field in self.fields.items():
            field.value = values.get(name, field.spec.default)
        self._check()

    def shows(self, values: Mapping[str, Any]) -> bool:
        """Say whether these values are what is shown."""
        return all(
            field.value == _as_shown(field, values.get(name, field.spec.default)) for name, field in self.fields.items()
        )

    def values(self) -> dict[str, Any]:
        """Give the values that differ from their defaults."""
        return {
            name: field.value
            for name, field in self.fields.items()
            if field.value != _as_shown(field, field.spec.default)
        }

    def _lay_out(self) -> None:
        for field in self.fields.values():
            field.edited.connect(self._on_edit)
            label = named(QLabel(field.spec.title), tip=field.spec.help)
            label.setBuddy(field)
            self._rows.addRow(label, field)
        whole = column(self, spacing=4, margins=(0, 4, 0, 0))
        whole.addLayout(self._rows)
        whole.addWidget(self._advanced)
        whole.addWidget(self._error)
        self._advanced.setVisible(any(field.spec.advanced for field in self.fields.values()))
        self._show_advanced(False)
        self._check()

    def _show_advanced(self, shown: bool) -> None:
        for field in self.fields.values():
            if field.spec.advanced:
                self._rows.setRowVisible(field, shown)

    def _on_edit(self) -> None:
        if self._check():
            self.changed.emit(self.values())

    def _check(self) -> bool:
        try:
            parse_params(self._params, self.values(), owner=self._owner)
        except UsageError as error:
            self._error.setText(str(error))
        else:
            self._error.setText("")
        self._error.setVisible(bool(self._error.text()))
        return not self._error.text()


def _as_shown(field: Field, value: Any) -> Any:
    """Give a value as its editor gives it: lists as lists, a choice that is a number as its text."""
    if isinstance(value, tuple):
        return list(value)
    return str(value) if field.spec.kind == "choice" and value is not None else value
