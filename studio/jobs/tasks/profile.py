"""Time of each executed node, with the runtime's counters on, led back to the model and to its source."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.core.artifact import Artifact
from studio.core.attribution import CORES
from studio.core.frozen import Frozen
from studio.core.lineage import lineage
from studio.core.modelfile import read_light_proto
from studio.core.nodework import ModelWork, model_work
from studio.core.profile import LayerProfile, Profile, layer_kind
from studio.core.provenance import node_names
from studio.core.report import Reporter
from studio.core.runqueue import undisturbed_ns
from studio.core.runtime import ExecutedNode, LoadedModel, RunOptions
from studio.jobs.tasks.feeding import feed
from studio.jobs.tasks.subject import Subject
from studio.jobs.tasks.surroundings import find_place
from studio.locations import load_registry

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

#: counted inferences in a turn: counters are noisy, and this pass need not be long
RUNS = 10
#: turns with counters, each between turns without
TURNS = 6
#: after so many seconds no further turn begins; a slow model has fewer inferences in a turn
SECONDS = 6.0
FEWEST = 3


class ProfileModel(Frozen):
    """What to profile, and how.

    Attributes
    ----------
    source
        The model that this one was made from; its nodes are given as `LayerProfile.origins`.
    provenance
        Name of each node to nodes of `source`, where that is known; else it is traced.
    """

    subject: Subject
    run: RunOptions = RunOptions()
    batch: int = 1
    data: Path | None = None
    dims: dict[str, int] = {}
    seed: int = 0
    source: Artifact | None = None
    provenance: dict[str, tuple[str, ...]] | None = None


class Profiled(Frozen):
    """Executed nodes in order, empty where the runtime has no counters; and what they mean."""

    nodes: tuple[ExecutedNode, ...]
    profile: Profile


def run(payload: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Profile a `ProfileModel` payload; gives a `Profiled`."""
    wanted = ProfileModel.model_validate(payload)
    registry = load_registry()
    subject = wanted.subject
    feeds = feed(registry, subject.artifact, wanted.data, wanted.batch, wanted.dims, wanted.seed)
    place = find_place(registry, subject.device.spec)
    reporter.progress(0, 0, f"profiling {subject.name}")
    with place.runtime.load(subject.artifact, place.device, wanted.run) as model:
        nodes, runs, beside = _in_turns(model, feeds.arrays, reporter)
        warnings, placement = tuple(model.warnings), dict(model.placement)
    proto = read_light_proto(subject.artifact.path)
    profile = Profile(
        model_name=subject.name,
        model_sha256=subject.artifact.sha256,
        device=place.spec,
        runtime_version=place.runtime.version(),
        options=wanted.run,
        batch=feeds.batch,
        synthetic=feeds.synthetic,
        layers=_layers(nodes, proto, model_work(proto, feeds.shapes), _origins(wanted, proto)),
        beside_ns=beside,
        runs=runs,
        placement=placement,
        warnings=warnings,
    )
    return Profiled(nodes=nodes, profile=profile).model_dump(mode="json")


def _in_turns(
    model: LoadedModel, arrays: Mapping[str, NDArray[Any]], reporter: Reporter
) -> tuple[tuple[ExecutedNode, ...], int, int]:
    """Run with and without counters in turns, so that the machine's drift hits both alike.

    Other programs stretch a whole inference and leave most of its kernels alone: so what they took is
    subtracted, and the calmest turn of either kind is taken. Only these two tell what is between kernels.

    Returns
    -------
    tuple
        Executed nodes of the turn with the least sum; counted runs in all; the least median latency of
        the turns without counters, in nanoseconds.
    """
    call = model.bind(arrays)
    call()
    started = time.perf_counter_ns()
    call()
    runs = max(FEWEST, min(RUNS, round(1e9 * SECONDS / TURNS / (time.perf_counter_ns() - started))))
    turns: list[tuple[ExecutedNode, ...]] = []
    clean: list[float] = []
    started = time.perf_counter_ns()
    while len(turns) < TURNS and (not turns or time.perf_counter_ns() - started < 1e9 * SECONDS):
        reporter.check()
        clean.append(_clean(call, runs))
        turns.append(model.profile(arrays, runs) or ())
    clean.append(_clean(call, runs))
    calmest = min(turns, key=lambda turn: sum(node.nanoseconds for node in turn))
    return calmest, runs * len(turns), round(min(clean))


def _clean(call: Callable[[], Any], runs: int) -> float:
    """Give the median latency without counters, after some runs that bring the model back into the caches."""
    times = [undisturbed_ns(call) for _ in range(runs + 2)]
    return statistics.median(times[2:])


def _origins(wanted: ProfileModel, proto: onnx.ModelProto) -> Mapping[str, tuple[str, ...]]:
    """Give the nodes of the source that each node came from: itself, where there is no other source."""
    if wanted.provenance is not None:
        return wanted.provenance
    if wanted.source is None or wanted.source.sha256 == wanted.subject.artifact.sha256:
        return {name: (name,) for name in node_names(proto.graph)}
    return lineage(read_light_proto(wanted.source.path).graph, proto.graph)


def _layers(
    executed: Sequence[ExecutedNode],
    proto: onnx.ModelProto,
    work: ModelWork,
    origins: Mapping[str, tuple[str, ...]],
) -> tuple[LayerProfile, ...]:
    operators = dict(zip(node_names(proto.graph), (node.op_type for node in proto.graph.node), strict=True))
    return tuple(_layer(node, operators, work, origins) for node in executed)


def _layer(
    node: ExecutedNode, operators: Mapping[str, str], work: ModelWork, origins: Mapping[str, tuple[str, ...]]
) -> LayerProfile:
    kinds = tuple(operators.get(name, "") for name in node.sources)
    cores = tuple(name for name in node.sources if operators.get(name) in CORES)
    last = (cores or node.sources)[-1:]
    makes = [tensor for name in last if name in work.nodes for tensor in work.nodes[name].makes[:1]]
    return LayerProfile(
        **node.model_dump(exclude={"sources"}),
        kind=layer_kind(node, kinds),
        nodes=node.sources,
        operators=kinds,
        origins=tuple(dict.fromkeys(origin for name in node.sources for origin in origins.get(name, ()))),
        macs=work.macs(node.sources),
        bytes=work.traffic(node.sources),
        cores=cores,
        shape=work.shapes.get(makes[0], ()) if makes else (),
    )
