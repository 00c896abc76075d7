"""The work of `quantize.static` on a prepared model: calibrate, insert the 8-bit grids, correct what they cost."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from studio.api import BurnishError, Cancelled, Dataset, PassContext

from .calibration import Calibrator, Plan, Ranges
from .layer_errors import LayerErrors, measure_layers, sample_limit
from .part import Part
from .qdq import Target, Types, insert_qdq, observed_tensors, targets, without_unusable
from .selection import Selection
from .stages import few_batches

if TYPE_CHECKING:
    import onnx

#: share of the time that calibration takes; the comparison of layers takes the rest
CALIBRATION = 0.8


@dataclass(frozen=True)
class Chosen:
    """What to quantize, free of the model that it came from."""

    targets: tuple[Target, ...]
    observed: list[str]

    @classmethod
    def of(cls, selection: Selection, float_outputs: Collection[str]) -> Chosen:
        """Describe the selected nodes and the tensors whose ranges are needed."""
        return cls(targets(selection), observed_tensors(selection, float_outputs))


@dataclass(frozen=True)
class Request:
    """How to quantize."""

    plan: Plan
    types: Types
    correct_bias: bool


@dataclass(frozen=True)
class Quantized:
    """The result in memory, the names of the quantized nodes, and what was found on the way."""

    proto: onnx.ModelProto
    names: tuple[str, ...]
    ranges: Ranges
    errors: LayerErrors


def calibrated(prepared: Path, chosen: Chosen, data: Dataset, context: PassContext, request: Request) -> Quantized:
    """Quantize a model as `save_prepared` wrote it.

    Raises
    ------
    DataError
        When the calibration data is empty, not finite or does not fit.
    """
    calibrator = Calibrator(prepared, chosen.observed, data, Part(context.reporter, 0.0, CALIBRATION))
    ranges = calibrator.run(request.plan, context.memo)
    kept = without_unusable(chosen.targets, ranges)
    context.reporter.check()
    proto = insert_qdq(prepared, kept, ranges, request.types)
    names = tuple(target.name for target in kept)
    limit = min(sample_limit(calibrator.sample_bytes()), request.plan.samples)
    batches = few_batches(calibrator.feeds(limit), limit)
    reporter = Part(context.reporter, CALIBRATION, 1.0)
    try:
        errors = measure_layers(
            prepared, proto, prepared.parent, names, batches, reporter, correct=request.correct_bias
        )
    except (BurnishError, Cancelled):
        raise
    except Exception as error:  # a piece of a model may hold what only the whole can run: the result is still good
        context.reporter.log(f"layers were not compared: {type(error).__name__}: {error}")
        errors = LayerErrors()
    return Quantized(proto, names, ranges, errors)
