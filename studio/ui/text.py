"""How figures are written in the window."""

from __future__ import annotations

from studio.core.evaluation import Difference
from studio.core.passes import Range, Survey


def size(number: float) -> str:
    """Write bytes: ``"2.79 MB"``."""
    for unit in ("bytes", "kB", "MB"):
        if abs(number) < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.2f} {unit}"
        number /= 1000
    return f"{number:.2f} GB"


def duration(seconds: float) -> str:
    """Write a time: ``"9 s"``, ``"2 min 5 s"``."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def difference(found: Difference, unit: str) -> str:
    """Write a change of accuracy: ``"-0.30 pp (-0.90 to +0.30)"``."""
    scale, behind = (100.0, " pp") if unit == "fraction" else (1.0, f" {unit}" if unit else "")
    return f"{found.value * scale:+.2f}{behind} ({found.low * scale:+.2f} to {found.high * scale:+.2f})"


def expectation(survey: Survey) -> str:
    """Write what a survey expects: ``"expect 0.90-1.10x here; 0.26-0.30 of the size"``; empty when nothing."""
    parts = []
    if survey.speed is not None:
        parts.append(f"expect {_range(survey.speed)}x here")
    if survey.size is not None:
        parts.append(f"{_range(survey.size)} of the size")
    return "; ".join(parts)


def _range(found: Range) -> str:
    low, high = f"{found.low:.2f}", f"{found.high:.2f}"
    return low if low == high else f"{low}-{high}"
