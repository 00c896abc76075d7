"""Rounding a model's weights one at a time: by themselves, or by what calibration data shows of their inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.api import Artifact, DataError, Moments, PassContext, Site, gather_moments, moment_bytes

from .gptq import Curvature, curvature, gptq
from .grid import Blocks, Floats, Grid, importance, in_blocks
from .hqq import half_quadratic
from .levels import Levels, LevelsWriter
from .rounding import round_blocks
from .weight_plan import Plan
from .weight_targets import Target

#: weights that are rounded at once
_PIECE = 1 << 21
#: layers with more inputs are observed by the mean squares alone: their covariance would not fit in memory
WIDEST = 6144


@dataclass
class Scaling:
    """Factors of a weight's inputs and outputs, by target name; what AWQ moves between layers."""

    columns: dict[str, Floats] = field(default_factory=dict)
    rows: dict[str, Floats] = field(default_factory=dict)
    squares: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def read(self, target: Target, start: int, end: int, factor: float) -> Floats:
        """Read rows of a weight with all factors applied."""
        rows: Floats = target.rows(start, end)
        if factor != 1.0:
            rows = rows * np.float32(factor)
        if target.name in self.columns:
            rows = rows * self.columns[target.name]
        if target.name in self.rows:
            rows = rows * self.rows[target.name][start:end, None]
        return rows


def is_finite(target: Target) -> bool:
    """Say whether a weight has finite values only; reads it in pieces."""
    step = max(1, _PIECE // target.inputs)
    starts = range(0, target.outputs, step)
    return all(np.isfinite(target.rows(start, min(target.outputs, start + step))).all() for start in starts)


def groups(targets: Iterable[Target]) -> list[list[Target]]:
    """Gather the targets that can share one quantized weight."""
    found: dict[Any, list[Target]] = {}
    for target in targets:
        found.setdefault((id(target.holder), target.kind, target.transposed, target.factor), []).append(target)
    return list(found.values())


def observed(
    artifact: Artifact, targets: list[Target], plan: Plan, context: PassContext
) -> Iterator[tuple[Moments, list[Target]]]:
    """Give what calibration data shows of each activation, with the targets that read it.

    Layers that read one activation share its moments; weights that several layers share count by the first.

    Raises
    ------
    DataError
        When there is no data, or it gives values that are not finite.
    """
    if context.calibration is None or context.engine is None:
        raise DataError(f"The method {plan.method} needs calibration data.", "Give a dataset of typical inputs.")
    readers: dict[str, list[Target]] = {}
    for group in groups(targets):
        value = group[0].node.inputs[0]
        readers.setdefault(str(value.name if value is not None else ""), []).append(group[0])
    sites = [
        Site(name, some[0].linear(), name, diagonal=some[0].inputs > WIDEST) for name, some in readers.items() if name
    ]
    # Those of one size together: fewer runs over the data, and the order of names means nothing.
    sites.sort(key=moment_bytes)
    for moments in gather_moments(context.engine, artifact, sites, context.calibration, limit=plan.samples):
        yield moments, readers[moments.site.key]


def mean_moments(moments: Moments) -> NDArray[np.float64]:
    """Give the mean of ``x x'``, or of squares for a wide layer."""
    found: NDArray[np.float64] = moments.xx[0]
    return found / max(1, moments.rows)


def inputs_curvature(moments: Moments, plan: Plan) -> Curvature | None:
    """Prepare GPTQ for the layers that read an activation; None for a layer that is too wide."""
    hessian = mean_moments(moments)
    return curvature(hessian, plan.dampening, act_order=plan.act_order) if hessian.ndim == 2 else None


def quantize(target: Target, plan: Plan, scaling: Scaling, known: Curvature | None, context: PassContext) -> Levels:
    """Round a weight in pieces of some rows.

    Parameters
    ----------
    known
        What GPTQ knows of the inputs; None rounds each block by itself.
    """
    grid, size = plan.grid(target), plan.size(target)
    writer = LevelsWriter(target.outputs, target.inputs, size, grid, plan.container(target))
    folded = 1.0 if plan.form == "stored" else target.factor
    squares = known.squares if known is not None else scaling.squares.get(target.name)
    if squares is not None and target.name in scaling.columns:
        squares = squares / scaling.columns[target.name].astype(np.float64) ** 2
    weights = importance(squares, target.inputs, size)
    step = max(1, _PIECE // target.inputs)
    for start in range(0, target.outputs, step):
        context.reporter.check()
        rows = scaling.read(target, start, min(target.outputs, start + step), folded)
        writer.put(start, _rounded(rows, grid, size, weights, plan, known if target.kind == "matmul" else None))
    return writer.levels


def _rounded(rows: Floats, grid: Grid, size: int, weights: Floats, plan: Plan, known: Curvature | None) -> Blocks:
    if known is not None:
        return gptq(rows, known, grid, size, search=plan.search)
    blocks = in_blocks(rows, size)
    if plan.method == "hqq":
        return half_quadratic(blocks, grid, weights)
    return round_blocks(blocks, grid, weights, search=plan.search)
