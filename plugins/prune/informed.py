"""Pruning layers by what calibration data shows of their inputs, one layer in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from studio.api import (
    Artifact,
    DataError,
    Linear,
    Moments,
    NodeChange,
    PassContext,
    PassResult,
    Site,
    Weight,
    gather_moments,
    left_alone,
    observe,
    replace_content,
    write_model,
)

from .masks import Pattern, Rule, Share, mask
from .refit import known_bias, refitted
from .second_order import prune_and_repair

#: rounds in which SparseGPT goes through the layers
ROUNDS = 8
Criterion = Literal["magnitude", "wanda", "sparsegpt"]


@dataclass(frozen=True)
class Plan:
    """How to prune.

    Attributes
    ----------
    samples
        Most calibration samples.
    dampening
        Of the Hessian, relative to its mean diagonal; for sparsegpt.
    """

    criterion: Criterion
    rule: Rule
    samples: int
    dampening: float


@dataclass
class _Done:
    changes: list[NodeChange] = field(default_factory=list)
    refused: dict[str, list[str]] = field(default_factory=dict)
    wide: list[str] = field(default_factory=list)
    few: list[str] = field(default_factory=list)
    zeros: int = 0
    weights: int = 0


def prune_by_data(
    artifact: Artifact, model: ir.Model, targets: Sequence[Weight], plan: Plan, context: PassContext
) -> PassResult:
    """Prune the weights of a model by their part in the outputs.

    Wanda (Sun et al. 2023, arXiv:2306.11695) takes a weight for as important as its magnitude times the norm of
    its input, within each output's row. SparseGPT also moves the weights that stay, and fits
    each layer to the original outputs, given the inputs of the network pruned so far; see `second_order`.

    Parameters
    ----------
    model
        The artifact's, whose weights `targets` are; it is changed.

    Raises
    ------
    DataError
        When there is no data, or it gives values that are not finite.
    """
    if context.calibration is None or context.engine is None:
        raise DataError(f"The criterion {plan.criterion} needs calibration data.", "Give a dataset of typical inputs.")
    sites, refused = _sites(targets, plan)
    done = _Done(refused=dict(refused))
    by_name = {target.name: target for target in targets}
    with TemporaryDirectory(dir=context.workdir, prefix="weights-") as folder:
        for number, moments in enumerate(_observed(artifact, model, sites, plan, context)):
            context.reporter.progress(number, len(sites), "pruning")
            context.reporter.check()
            _one(by_name[moments.site.key], moments, plan, Path(folder) / str(number), done)
        if not done.changes:
            return PassResult(artifact=artifact, warnings=("No layer was pruned.", *left_alone(done.refused)))
        written = write_model(model, context.workdir / "model.onnx")
        del model
        for target in targets:  # their files go with the folder
            replace_content(target.holder, target.tensor)
    return PassResult(
        artifact=written,
        changes=tuple(done.changes),
        warnings=(*left_alone(done.refused), *_remarks(done, synthetic=context.calibration.synthetic)),
        notes={
            "sparsity": done.zeros / done.weights,
            "zeros": done.zeros,
            "weights": done.weights,
            "layers": len(done.changes),
        },
    )


def _sites(targets: Sequence[Weight], plan: Plan) -> tuple[list[Site], dict[str, list[str]]]:
    """Describe what to observe of each layer: Wanda looks at each input alone, SparseGPT at pairs and at outputs."""
    finite = [target for target in targets if np.isfinite(target.tensor.numpy()).all()]
    sites, refused = observe(finite, outputs=plan.criterion == "sparsegpt")
    odd = [target.name for target in targets if target not in finite]
    refused = {**refused, "it has weights that are not finite": odd}
    if plan.criterion == "wanda":
        return [replace(site, diagonal=True) for site in sites], refused
    by_name = {target.name: target for target in targets}
    fitted = {site.key for site in sites if known_bias(by_name[site.key], site.linear) is not None}
    return [site if site.key in fitted else replace(site, output="") for site in sites], refused


def _observed(
    artifact: Artifact, model: ir.Model, sites: Sequence[Site], plan: Plan, context: PassContext
) -> Iterator[Moments]:
    """Give the moments of each layer; SparseGPT's in rounds, each of the network as the rounds before left it."""
    assert context.engine is not None and context.calibration is not None
    size = -(-len(sites) // ROUNDS) if plan.criterion == "sparsegpt" else len(sites)
    for start in range(0, len(sites), max(1, size)):
        with TemporaryDirectory(dir=context.workdir, prefix="round-") as folder:
            current = write_model(model, Path(folder) / "model.onnx") if start else artifact
            yield from gather_moments(
                context.engine,
                current,
                sites[start : start + size],
                context.calibration,
                limit=plan.samples,
                reference=artifact,
            )


def _one(target: Weight, moments: Moments, plan: Plan, file: Path, done: _Done) -> None:
    linear = moments.site.linear
    if isinstance(plan.rule, Pattern) and not fits(linear, plan.rule):
        done.refused.setdefault(_misfit(plan.rule), []).append(target.name)
        return
    array = target.tensor.numpy()
    matrix = linear.matrix(array)
    repaired = plan.criterion == "sparsegpt" and moments.xx.ndim == 3
    if plan.criterion == "sparsegpt" and not repaired:
        done.wide.append(target.name)
    if repaired and moments.rows < linear.inputs:
        done.few.append(target.name)
    bias = known_bias(target, linear)
    if repaired and bias is not None and moments.site.output:
        matrix = refitted(matrix, moments, bias, plan.dampening)
    order = channels_last(linear)
    groups = [
        _pruned(part[:, order], moments.xx[group], replace(plan, rule=rule), order, moments.rows)
        for group, (part, rule) in enumerate(zip(matrix, _of_each_group(plan.rule, matrix.shape), strict=True))
    ]
    back = np.argsort(order)
    pruned = linear.stored(np.stack([part[:, back] for part in groups])).astype(array.dtype)
    _spill(target, pruned, file)
    zeros = int(np.count_nonzero(pruned == 0))
    done.zeros, done.weights = done.zeros + zeros, done.weights + pruned.size
    detail = f"{zeros:,} of {pruned.size:,} weights are zero{', the others make up for them' if repaired else ''}"
    done.changes.append(NodeChange(node=target.name, operator=target.node.op_type, change="rewritten", detail=detail))


def _of_each_group(rule: Rule, shape: tuple[int, ...]) -> Iterator[Rule]:
    """Give each group its rule; rounding of a share is carried from group to group."""
    groups, size = shape[0], shape[1] * shape[2]
    for group in range(groups):
        if isinstance(rule, Share):
            count = round(rule.share * size * (group + 1)) - round(rule.share * size * group)
            yield Share(count / size)
        else:
            yield rule


def _pruned(
    matrix: NDArray[np.float64], moments: NDArray[np.float64], plan: Plan, order: NDArray[np.int64], rows: int
) -> NDArray[np.float64]:
    """Prune one group's matrix, whose inputs are in the given order."""
    if plan.criterion == "sparsegpt" and moments.ndim == 2:
        return prune_and_repair(matrix, moments[np.ix_(order, order)] / rows, plan.rule, plan.dampening)
    squares = (np.diag(moments) if moments.ndim == 2 else moments)[order]
    marked = mask(np.abs(matrix) * np.sqrt(squares), plan.rule)
    return np.where(marked, 0.0, matrix)


def channels_last(linear: Linear) -> NDArray[np.int64]:
    """Give the order in which a layer's inputs stand kernel position by kernel position.

    Sparse hardware wants N:M along the channels, at each position of the kernel.
    """
    cells = linear.window.cells if linear.window is not None and linear.operator == "Conv" else 1
    return np.arange(linear.inputs).reshape(-1, cells).T.reshape(-1)


def fits(linear: Linear, pattern: Pattern) -> bool:
    """Say whether the channels that a layer sums over can be divided into groups of M."""
    cells = linear.window.cells if linear.window is not None and linear.operator == "Conv" else 1
    return linear.inputs // cells % pattern.of == 0


def _misfit(pattern: Pattern) -> str:
    return f"it does not sum over a multiple of {pattern.of} channels"


def _spill(target: Weight, array: NDArray[np.generic], file: Path) -> None:
    """Put an array in a target's place from a mapped file, so that not all new weights are in memory."""
    array.tofile(file)
    mapped = np.memmap(file, dtype=array.dtype, mode="r", shape=array.shape)
    replace_content(target.holder, ir.Tensor(mapped, dtype=target.tensor.dtype, name=target.tensor.name))


def _remarks(done: _Done, *, synthetic: bool) -> Iterator[str]:
    if done.wide:
        yield f"Too wide to make up for what went, pruned by Wanda's criterion alone: {', '.join(done.wide)}."
    if done.few:
        yield (
            f"{len(done.few)} layers (first: {done.few[0]}) had fewer rows of calibration data than inputs: "
            "more samples, or more dampening, make up for what went more reliably."
        )
    if synthetic:
        yield "The weights were chosen on generated inputs: give real data for real accuracy."
