"""Orders of execution: as good as trying all on small graphs, never worse on large ones."""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.api import Cancelled, Dataflow, PassContext, PassError, Scope, SilentReporter, open_artifact, peak_bytes
from tests.passes.graph import dynamic
from tests.passes.graph.harness import REGISTRY, graph, node, once, save, survey, verified

ID = "graph.memory-plan"
PASS = REGISTRY.get_pass(ID)
__import__(f"{type(PASS).__module__.rpartition('.')[0]}.schedule")
MODULE: Any = sys.modules[f"{type(PASS).__module__.rpartition('.')[0]}.schedule"]
schedule: Callable[..., Any] = MODULE.schedule


def flow_of(sizes: list[int], needs: list[tuple[int, ...]]) -> Dataflow:
    """Each node makes one buffer and reads those of the nodes that it needs; what nobody reads is an output."""
    read = {need for one in needs for need in one}
    names = tuple(f"n{index}" for index in range(len(sizes)))
    return Dataflow(
        names,
        names,
        tuple(sizes),
        tuple((index,) for index in range(len(sizes))),
        tuple(needs),
        tuple(needs),
        frozenset(index for index in range(len(sizes)) if index not in read),
    )


def random_flow(nodes: int, reach: int, seed: int) -> Dataflow:
    drawn = random.Random(seed)
    needs = []
    for index in range(nodes):
        sources = {max(0, index - drawn.randint(1, reach)) for _ in range(drawn.randint(1, 2))} if index else set()
        needs.append(tuple(sorted(sources)))
    return flow_of([drawn.randint(1, 100) * 1000 for _ in range(nodes)], needs)


def is_order(flow: Dataflow, order: tuple[int, ...]) -> bool:
    place = {node: step for step, node in enumerate(order)}
    runs = all(place[need] < place[node] for node, needs in enumerate(flow.needs) for need in needs)
    return runs and sorted(order) == list(range(len(flow.names)))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_as_good_as_trying_every_order(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 7))
    sizes = data.draw(st.lists(st.integers(1, 9), min_size=count, max_size=count))
    needs = [
        tuple(sorted(data.draw(st.sets(st.integers(0, index - 1), max_size=3)))) if index else ()
        for index in range(count)
    ]
    flow = flow_of([size * 1000 for size in sizes], needs)
    found = schedule(flow, lambda: None)
    orders = (order for order in itertools.permutations(range(count)) if is_order(flow, order))
    assert found.after == min(peak_bytes(flow, order) for order in orders)
    assert is_order(flow, found.order)
    assert found.after == found.bound == peak_bytes(flow, found.order)


@pytest.mark.parametrize(("nodes", "reach"), [(60, 20), (400, 12), (2000, 40)])
def test_large_graphs_get_a_valid_order_that_is_no_worse(nodes: int, reach: int) -> None:
    flow = random_flow(nodes, reach, seed=nodes)
    found = schedule(flow, lambda: None, 2000)
    assert is_order(flow, found.order)
    assert found.bound <= found.after == peak_bytes(flow, found.order) <= found.before


def wide(path: Path, branches: int = 4) -> Path:
    """Branches that widen and narrow again, all widened first: `x` [n, 64] -> `y` [n, 64 * branches]."""
    first = [
        one
        for i in range(branches)
        for one in (node("Mul", f"x k{i}", f"m{i}"), node("Tile", f"m{i} times", f"t{i}", name=f"widen{i}"))
    ]
    last = [node("ReduceMax", f"t{i}", f"r{i}", name=f"narrow{i}", axes=[0], keepdims=1) for i in range(branches)]
    join = node("Concat", " ".join(f"r{i}" for i in range(branches)), "y", axis=1)
    weights: dict[str, Any] = {"times": dynamic.ints(32, 1)}
    weights |= {f"k{i}": np.asarray([i + 1], np.float32) for i in range(branches)}
    return save(path, graph([*first, *last, join], [("x", ("n", 64))], [("y", (1, 64 * branches))], weights))


def test_branches_run_one_after_the_other(tmp_path: Path) -> None:
    record = verified(ID, wide(tmp_path / "m.onnx"), dims=("n=8",))
    assert record.verification is not None
    assert record.verification.identical
    assert record.notes["peak bytes after"] < record.notes["peak bytes before"] / 2  # type: ignore[operator]
    assert record.notes["peak bytes after"] == record.notes["no order below"]
    assert record.notes["arena bytes after"] <= record.notes["arena bytes before"]  # type: ignore[operator]
    names = [one.name for one in onnx.load(str(record.artifact.path)).graph.node]
    assert all(abs(names.index(f"narrow{i}") - names.index(f"widen{i}")) == 1 for i in range(4))
    assert {change.change for change in record.changes} == {"rewritten"}
    again = once(ID, record.artifact, tmp_path / "again", dims=("n=8",))
    assert again.artifact == record.artifact


def test_a_survey_says_from_what_to_what(tmp_path: Path) -> None:
    found = survey(ID, wide(tmp_path / "m.onnx"))
    assert found.applies
    assert "activations held at most" in found.summary
    assert any("n=1" in warning for warning in found.warnings)


@pytest.mark.parametrize("name", ["light_shufflenet", "light_squeezenet", "light_densenet121"])
def test_real_graphs(name: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes((dynamic.LIGHT / f"{name}.onnx").read_bytes())
    result = once(ID, open_artifact(path), tmp_path / "out")
    onnx.checker.check_model(str(result.artifact.path))
    assert bool(result.changes) == (name == "light_shufflenet")


@pytest.mark.parametrize("build", [dynamic.conditional, dynamic.looping, dynamic.recurrent, dynamic.encoder])
def test_subgraphs_and_recurrent_layers(build: Callable[[Path], Path], tmp_path: Path) -> None:
    record = verified(ID, build(tmp_path / "m.onnx"))
    assert record.unchanged
    assert any("No order" in warning for warning in record.warnings)


def test_the_sample_is_in_the_best_order_already(tmp_path: Path) -> None:
    assert "No order" in survey(ID, dynamic.SAMPLE).why_not


def test_no_scope_and_cancelling(tmp_path: Path) -> None:
    class Stop(SilentReporter):
        def check(self) -> None:
            raise Cancelled

    path = wide(tmp_path / "m.onnx")
    with pytest.raises(PassError, match="scope"):
        once(ID, open_artifact(path), tmp_path / "out", Scope(names=("widen0",)))
    (tmp_path / "stop").mkdir()
    with pytest.raises(Cancelled):
        PASS.apply(open_artifact(path), PASS.Params(), PassContext(workdir=tmp_path / "stop", reporter=Stop()))
