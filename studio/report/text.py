"""How figures are written for people."""

from __future__ import annotations

from studio.core.evaluation import Difference
from studio.core.metric import Estimate
from studio.core.passes import Range
from studio.core.runtime import TensorInfo


def size(number: float) -> str:
    """Write bytes: ``"2.79 MB"``."""
    for unit in ("bytes", "kB", "MB"):
        if abs(number) < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.2f} {unit}"
        number /= 1000
    return f"{number:.2f} GB"


def count(number: float) -> str:
    """Write a count: ``"1.94 M"``."""
    for unit in ("", " k", " M", " G"):
        if abs(number) < 1000:
            return f"{number:.0f}" if not unit else f"{number:.2f}{unit}"
        number /= 1000
    return f"{number:.2f} T"


def tensor(item: TensorInfo) -> str:
    """Write an input or output: ``"image float32 [batch, 1, 28, 28]"``."""
    if item.shape is None:
        return f"{item.name} {item.dtype} of unknown shape"
    dims = ", ".join("?" if dim is None else str(dim) for dim in item.shape)
    return f"{item.name} {item.dtype} [{dims}]"


def expectation(found: Range | None) -> str:
    """Write an expected range: ``"0.90-1.10x"``."""
    return "" if found is None else f"{found.low:.2f}-{found.high:.2f}x"


def metric_value(estimate: Estimate, unit: str) -> str:
    """Write a metric with its interval: ``"98.60 % (97.70 to 99.20)"``."""
    scale, behind = _scale(unit)
    return f"{estimate.value * scale:.2f}{behind} ({estimate.low * scale:.2f} to {estimate.high * scale:.2f})"


def difference(found: Difference, unit: str) -> str:
    """Write a difference: ``"-0.30 pp (-0.90 to +0.30): no significant difference"``."""
    scale, behind = _scale(unit)
    points = " pp" if unit == "fraction" else behind
    verdict = "significant" if found.significant else "no significant difference"
    text = f"{found.value * scale:+.2f}{points} ({found.low * scale:+.2f} to {found.high * scale:+.2f}): {verdict}"
    return text if found.agreement is None else f"{text}, agreement {100 * found.agreement:.1f} %"


def _scale(unit: str) -> tuple[float, str]:
    return (100.0, " %") if unit == "fraction" else (1.0, f" {unit}" if unit else "")
