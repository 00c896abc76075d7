"""``MANIFEST.json``: hashes, measurements and environment of a bundle."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from typing import Any

from studio.api import ExportContext, Measurement

from .goldens import Names

FORMAT = 1
#: How close a target's outputs must come to the goldens. Float arithmetic in another order keeps far
#: more than 40 dB; 8-bit kernels of another instruction set may saturate and round differently.
FLOAT_SQNR_DB = 40.0
QUANTIZED_SQNR_DB = 15.0


def manifest_json(context: ExportContext, hashes: Mapping[str, tuple[str, int]], names: Names) -> str:
    """Write the manifest, keys sorted.

    Parameters
    ----------
    hashes
        File name to its sha256 and size in bytes.
    names
        Key in goldens.npz to sample, kind and tensor name.
    """
    table: dict[str, Any] = {
        "format": FORMAT,
        "source": {"name": context.source_name, "sha256": context.source_sha256},
        "model": {"sha256": context.artifact.sha256, "bytes": context.artifact.bytes},
        "inputs": [item.model_dump(mode="json") for item in context.inputs],
        "preprocessing": context.preprocessing.model_dump(mode="json") if context.preprocessing else None,
        "outputs": [item.model_dump(mode="json") for item in context.outputs],
        "files": {name: {"sha256": sha256, "bytes": size} for name, (sha256, size) in sorted(hashes.items())},
        "goldens": {
            "samples": len(context.goldens),
            "arrays": {key: list(value) for key, value in names.items()},
            "computed_by": context.golden_runtime,
            "synthetic": context.synthetic,
            "minimum_sqnr_db": minimum_sqnr(context),
        },
        "latency_ms": latency_ms(context),
        "measurements": [_measurement(item) for item in context.measurements],
        "evaluations": [
            item.model_dump(mode="json", exclude={"scores", "baseline_sha256"}) for item in context.evaluations
        ],
    }
    return json.dumps(table, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def minimum_sqnr(context: ExportContext) -> float:
    """Give the SQNR in dB that a target's outputs must reach."""
    quantized = any(step.pass_id.startswith("quantize.") for step in context.recipe.steps)
    return QUANTIZED_SQNR_DB if quantized else FLOAT_SQNR_DB


def latency_ms(context: ExportContext) -> float | None:
    """Give the median latency of the exported model where it was made; None when it was not measured."""
    own = [item for item in context.measurements if item.model_sha256 == context.artifact.sha256 and item.samples_ns]
    return round(statistics.median(own[-1].samples_ns) / 1e6, 4) if own else None


def _measurement(item: Measurement) -> dict[str, Any]:
    """Keep what judges a measurement; raw samples stay in the project."""
    table = item.model_dump(mode="json", exclude={"samples_ns", "warmup_ns"})
    table["samples"] = len(item.samples_ns)
    if item.samples_ns:
        table["p50_ms"] = round(statistics.median(item.samples_ns) / 1e6, 4)
        table["min_ms"] = round(min(item.samples_ns) / 1e6, 4)
    return table
