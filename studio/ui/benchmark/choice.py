"""Which variants on which devices: check boxes that follow the shown variant until the user chooses."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from studio.core.project import BASELINE
from studio.ui.build import row
from studio.ui.checklist import CheckList
from studio.ui.controller import Controller


class SubjectChoice(QWidget):
    """Two lists of check boxes."""

    def __init__(self, controller: Controller, parent: QWidget | None = None, *, devices: bool = True) -> None:
        super().__init__(parent)
        self._controller = controller
        self._own_variants = self._own_devices = False
        self.variant_list = CheckList("Variants", "Which variants; the baseline is what the others are compared with")
        self.device_list = CheckList("Devices", "On which devices; the first is where the baseline runs")
        layout = row(self)
        layout.addWidget(self.variant_list)
        layout.addWidget(self.device_list)
        self.device_list.setVisible(devices)
        self.variant_list.changed.connect(self._chose_variants)
        self.device_list.changed.connect(self._chose_devices)
        controller.changed.connect(self._on_change)
        controller.selected.connect(lambda _: self._fill_variants())
        self._fill_variants()
        self._fill_devices()

    @property
    def variants(self) -> list[str]:
        """Ids of the chosen variants."""
        return self.variant_list.chosen

    @property
    def devices(self) -> list[str]:
        """Specs of the chosen devices, that of the window first when it is among them."""
        return sorted(self.device_list.chosen, key=lambda spec: spec != self._controller.device)

    def _chose_variants(self) -> None:
        self._own_variants = True

    def _chose_devices(self) -> None:
        self._own_devices = True

    def _on_change(self, topic: str) -> None:
        if topic in ("project", "variants"):
            if topic == "project":
                self._own_variants = False
            self._fill_variants()
        elif topic == "devices":
            self._fill_devices()

    def _fill_variants(self) -> None:
        session = self._controller.session
        variants = session.project.variants if session.is_open else ()
        kept = self.variants if self._own_variants else [BASELINE, self._controller.variant]
        self.variant_list.set_items([(variant.id, variant.name) for variant in variants], kept)

    def _fill_devices(self) -> None:
        found = self._controller.session.detected
        devices = found.devices if found is not None else ()
        kept = self.devices if self._own_devices else [self._controller.device]
        self.device_list.set_items([(device.spec, device.label) for device in devices], kept)
