"""What is known of each layer in each form, filled in by estimates first and measurements after."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studio.core.errors import BurnishError, Cancelled
from studio.core.report import Reporter
from studio.core.sensing import Sensor
from studio.core.sensitivity import LayerOption

Key = tuple[str, str]
Listener = Callable[[LayerOption], None]


def _ignore(option: LayerOption) -> None:
    """Drop what nobody listens to."""


@dataclass(frozen=True)
class Listeners:
    """Who is told: `changed` of every option that becomes known better, `measured` of those just measured."""

    changed: Listener = _ignore
    measured: Listener = _ignore


class OptionTable:
    """The options of a sensor's variants.

    Parameters
    ----------
    sensor
        Estimates and measures.
    known
        Options that were measured before.
    """

    def __init__(
        self,
        sensor: Sensor,
        reporter: Reporter,
        known: Iterable[LayerOption] = (),
        listeners: Listeners | None = None,
    ) -> None:
        self._sensor, self._reporter = sensor, reporter
        self._listeners = listeners or Listeners()
        self._options: dict[Key, LayerOption] = {(item.output, item.choice): item for item in sensor.options()}
        self.warnings: list[str] = []
        for item in known:
            if (item.output, item.choice) in self._options:
                self._set((item.output, item.choice), noise=item.noise, agreement=item.agreement, samples=item.samples)

    @property
    def options(self) -> tuple[LayerOption, ...]:
        """All options, form by form in the model's order."""
        return tuple(self._options.values())

    def estimate(self, labels: Sequence[str]) -> None:
        """Estimate every option, form by form; a form that cannot be estimated is measured all the same."""
        for number, label in enumerate(labels):
            self._reporter.progress(number, len(labels), f"estimating {label}")
            try:
                found = self._sensor.estimates(label)
            except BurnishError as error:
                self.warnings.append(f"{label} could not be estimated: {error.message}")
                continue
            for output, noise in found.items():
                self._set((output, label), estimate=noise)

    def measure(self, seconds: float | None = None, *, stop: bool = True) -> bool:
        """Measure what is not known yet, the largest estimate first; says whether all is measured.

        Parameters
        ----------
        seconds
            After which no further measurement is begun; None for as long as it takes.
        stop
            Whether a cancellation ends the measuring and keeps what there is; else it is passed on.
        """
        started = time.monotonic()
        waiting = [key for key, option in self._options.items() if option.noise is None]
        waiting.sort(key=lambda key: -_first(self._options[key].estimate))
        total = len(self._options)
        try:
            for number, key in enumerate(waiting):
                if seconds is not None and time.monotonic() - started >= seconds:
                    break
                self._reporter.progress(total - len(waiting) + number, total, f"measuring {key[0]} as {key[1]}")
                self._measure_one(key)
        except Cancelled:
            if not stop:
                raise
        self._scale_estimates()
        left = sum(option.noise is None for option in self._options.values())
        if left:
            self.warnings.append(f"{left} of {total} options are estimated only: the time was up, or it was stopped.")
        return not left

    def _measure_one(self, key: Key) -> None:
        try:
            found = self._sensor.measure({key[0]: key[1]})
        except BurnishError as error:
            self.warnings.append(f"{', '.join(self._options[key].layers)} as {key[1]} cannot be run: {error.message}")
            self._options.pop(key)
            return
        self._set(key, noise=found.noise, agreement=found.agreement, samples=found.samples)
        self._listeners.measured(self._options[key])

    def _scale_estimates(self) -> None:
        """Bring the estimates to the level of what was measured: their order is better than their size."""
        ratios: dict[str, list[float]] = {}
        for option in self._options.values():
            if option.noise and option.estimate:
                ratios.setdefault(option.choice, []).append(option.noise / option.estimate)
        scales: Mapping[str, float] = {choice: statistics.median(found) for choice, found in ratios.items()}
        for key, option in self._options.items():
            if option.estimate is not None and option.choice in scales:
                scaled = option.estimate * scales[option.choice]
                self._options[key] = option.model_copy(update={"estimate": scaled})

    def _set(self, key: Key, **values: Any) -> None:
        self._options[key] = self._options[key].model_copy(update=values)
        self._listeners.changed(self._options[key])


def _first(estimate: float | None) -> float:
    """Order what could not be estimated before all else."""
    return float("inf") if estimate is None else estimate
