"""One editor for each kind of parameter."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QLineEdit, QSpinBox, QWidget

from studio.core.params import ParamSpec
from studio.ui.build import row

_INT = 2**31 - 1
_FLOAT = 1e15
_DECIMALS = 9


class Field(QWidget):
    """An editor with a plain value; `edited` follows every change by the user."""

    edited = Signal()

    def __init__(self, spec: ParamSpec, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.spec = spec
        self._editor = _editor(spec)
        self._editor.setAccessibleName(spec.title)
        self._editor.setAccessibleDescription(spec.help)
        self._editor.setToolTip(_tip(spec))
        self.setFocusProxy(self._editor)
        self._set = QCheckBox("set") if spec.optional else None
        line = row(self)
        if self._set is not None:
            self._set.setAccessibleName(f"Set {spec.title}")
            self._set.toggled.connect(self._editor.setEnabled)
            self._set.toggled.connect(lambda _: self.edited.emit())
            line.addWidget(self._set)
        line.addWidget(self._editor, 1)
        self.value = spec.default
        self._connect()

    @property
    def editor(self) -> QWidget:
        """The widget that is typed into."""
        return self._editor

    @property
    def value(self) -> Any:
        """The value as it is shown; None when it is optional and not set."""
        if self._set is not None and not self._set.isChecked():
            return None
        editor = self._editor
        if isinstance(editor, QCheckBox):
            return editor.isChecked()
        if isinstance(editor, (QSpinBox, QDoubleSpinBox)):
            return editor.value()
        if isinstance(editor, QComboBox):
            return editor.currentText()
        assert isinstance(editor, QLineEdit)
        text = editor.text().strip()
        if self.spec.kind == "list":
            return [part for raw in text.split(",") if (part := raw.strip())]
        return text

    @value.setter
    def value(self, value: Any) -> None:
        blocked = self.blockSignals(True)
        if self._set is not None:
            self._set.setChecked(value is not None)
            self._editor.setEnabled(value is not None)
        if value is not None:
            self._show(value)
        self.blockSignals(blocked)

    def _show(self, value: Any) -> None:
        editor = self._editor
        if isinstance(editor, QCheckBox):
            editor.setChecked(bool(value))
        elif isinstance(editor, (QSpinBox, QDoubleSpinBox)):
            editor.setValue(value)
        elif isinstance(editor, QComboBox):
            editor.setCurrentText(str(value))
        elif isinstance(editor, QLineEdit):
            editor.setText(", ".join(value) if isinstance(value, (list, tuple)) else str(value))

    def _connect(self) -> None:
        editor = self._editor
        if isinstance(editor, QCheckBox):
            editor.toggled.connect(lambda _: self.edited.emit())
        elif isinstance(editor, (QSpinBox, QDoubleSpinBox)):
            editor.valueChanged.connect(lambda _: self.edited.emit())
        elif isinstance(editor, QComboBox):
            editor.currentTextChanged.connect(lambda _: self.edited.emit())
        elif isinstance(editor, QLineEdit):
            editor.textChanged.connect(lambda _: self.edited.emit())


def _editor(spec: ParamSpec) -> QWidget:
    if spec.kind == "bool":
        return QCheckBox()
    if spec.kind == "choice":
        box = _Combo()
        box.addItems(spec.choices)
        return box
    if spec.kind == "int":
        return _int_editor(spec)
    if spec.kind == "float":
        return _float_editor(spec)
    line = QLineEdit()
    line.setPlaceholderText("separated by commas" if spec.kind == "list" else "")
    return line


def _int_editor(spec: ParamSpec) -> QSpinBox:
    box = _IntBox()
    low = -_INT if spec.minimum is None else int(spec.minimum) + spec.exclusive_minimum
    high = _INT if spec.maximum is None else int(spec.maximum) - spec.exclusive_maximum
    box.setRange(max(low, -_INT), min(high, _INT))
    box.setSuffix(f" {spec.unit}" if spec.unit else "")
    box.setGroupSeparatorShown(True)
    return box


def _float_editor(spec: ParamSpec) -> QDoubleSpinBox:
    box = _FloatBox()
    least = 10.0**-_DECIMALS
    low = -_FLOAT if spec.minimum is None else spec.minimum + (least if spec.exclusive_minimum else 0)
    high = _FLOAT if spec.maximum is None else spec.maximum - (least if spec.exclusive_maximum else 0)
    box.setDecimals(_DECIMALS)
    box.setRange(low, high)
    box.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
    box.setSuffix(f" {spec.unit}" if spec.unit else "")
    return box


def _tip(spec: ParamSpec) -> str:
    bounds = ""
    if spec.minimum is not None or spec.maximum is not None:
        low = "" if spec.minimum is None else f"{spec.minimum:g}"
        high = "" if spec.maximum is None else f"{spec.maximum:g}"
        bounds = f"\nFrom {low} to {high}." if low and high else f"\nAt least {low}." if low else f"\nAt most {high}."
    default = ", ".join(spec.default) if isinstance(spec.default, tuple) else spec.default
    return f"{spec.help}{bounds}\nDefault: {default}."


class _Quiet:
    """Leaves the wheel to the panel that scrolls, unless the editor has the focus."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        assert isinstance(self, QWidget)
        if self.hasFocus():
            super().wheelEvent(event)  # type: ignore[misc]
        else:
            event.ignore()


class _IntBox(_Quiet, QSpinBox):
    def __init__(self) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)


class _FloatBox(_Quiet, QDoubleSpinBox):
    """Writes no trailing zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def textFromValue(self, value: float) -> str:
        digits = self.locale().toString(value, "f", _DECIMALS)
        point = self.locale().decimalPoint()
        return digits.rstrip("0").rstrip(point) if point in digits else digits


class _Combo(_Quiet, QComboBox):
    def __init__(self) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
