"""How much of its cost each layer may keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from studio.api import Artifact, PassContext, gather_moments

from .budget import Demand, rank_of_energy, share_out
from .choice import dense
from .decompose import spectrum
from .fit import Fit, fit
from .layers import Layer

Criterion = Literal["macs", "parameters", "ratio", "energy", "latency"]
Shares = dict[str, float]
#: stabilizes spectra of few rows
RIDGE = 1e-4


def fixed_shares(layers: Sequence[Layer], ratio: float, multiple: int) -> Shares:
    """Give every layer the same share of its full rank."""
    return {layer.name: _share(layer, _rounded(ratio * _full(layer), multiple)) for layer in layers}


def energy_share(layer: Layer, fitted: Fit, energy: float, multiple: int) -> float:
    """Give the cost of the smallest rank that keeps a share of the outputs' energy."""
    return _share(layer, rank_of_energy(spectrum(fitted), energy, multiple))


def budget_shares(
    artifact: Artifact,
    layers: Sequence[Layer],
    keep: float,
    multiple: int,
    context: PassContext,
    samples: int,
    *,
    parameters: bool,
) -> Shares:
    """Share a budget out by the spectra of the layers' outputs in the original network.

    Parameters
    ----------
    keep
        Share of the layers' multiply-accumulates (or parameters) in all.
    """
    assert context.engine is not None and context.calibration is not None
    by_name = {layer.name: layer for layer in layers}
    sites = [replace(layer.site, output="") for layer in layers]
    demands = {}
    for number, moments in enumerate(
        gather_moments(context.engine, artifact, sites, context.calibration, limit=samples)
    ):
        context.reporter.progress(number, len(sites), "spectra")
        layer = by_name[moments.site.key]
        fitted = fit(layer.matrix(), moments, None, correct=True, reconstruct=False, ridge=RIDGE)
        energies = spectrum(fitted)
        weight = 1.0 if parameters else moments.positions
        demands[layer.name] = Demand(
            energies=energies / max(float(energies.sum()), 1e-30),
            unit=weight * (layer.linear.inputs + layer.linear.outputs),
            dense=weight * dense(layer),
        )
    ranks = share_out(demands, keep * sum(demand.dense for demand in demands.values()), multiple)
    return {name: _share(by_name[name], rank) for name, rank in ranks.items()}


def _full(layer: Layer) -> int:
    return min(layer.linear.inputs, layer.linear.outputs)


def _share(layer: Layer, rank: int | None) -> float:
    if rank is None:
        return 1.0
    return rank * (layer.linear.inputs + layer.linear.outputs) / dense(layer)


def _rounded(rank: float, multiple: int) -> int:
    return max(1, multiple * max(1, round(rank / multiple)))
