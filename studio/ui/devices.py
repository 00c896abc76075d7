"""The device selector: what runs models here, and what does not and why."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QComboBox, QWidget

from studio.core.device import Device, UnavailableDevice
from studio.ui.controller import Controller


class DeviceSelector(QComboBox):
    """Chooses the device that surveys, benchmarks and evaluations are for."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.setAccessibleName("Device")
        self.setToolTip("Where models are measured, and what passes optimize for")
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.setPlaceholderText("Detecting devices…")
        self.setEnabled(False)
        controller.changed.connect(self._on_change)
        self.activated.connect(self._on_activated)
        self._fill()

    def _on_change(self, topic: str) -> None:
        if topic == "devices":
            self._fill()

    def _fill(self) -> None:
        found = self._controller.session.detected
        if found is None:
            return
        model = QStandardItemModel(self)
        for device in found.devices:
            model.appendRow(_usable(device))
        for missing in found.unavailable:
            model.appendRow(_unusable(missing))
        with QSignalBlocker(self):
            self.setModel(model)
            self.setCurrentIndex(self.findData(self._controller.device))
        self.setEnabled(bool(found.devices))
        if not found.devices:
            self.setPlaceholderText("No device works here")

    def _on_activated(self, index: int) -> None:
        spec = self.itemData(index)
        if spec:
            self._controller.choose_device(spec)


def _usable(device: Device) -> QStandardItem:
    item = QStandardItem(device.label)
    item.setData(device.spec, Qt.ItemDataRole.UserRole)
    precisions = f"\nPrecisions: {', '.join(device.precisions)}" if device.precisions else ""
    item.setToolTip(f"{device.name}\n{', '.join(device.instruction_sets)}{precisions}")
    return item


def _unusable(missing: UnavailableDevice) -> QStandardItem:
    item = QStandardItem(f"{missing.runtime} · {missing.name} (not usable)")
    item.setEnabled(False)
    item.setToolTip(f"{missing.reason}\n{missing.remedy}")
    return item
