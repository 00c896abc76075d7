from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.analysis.sensitivity import SenseOptions, known_choices, pick_choices, sensitivity
from studio.core.assignment import Item, Limits, assign
from studio.core.errors import UsageError
from studio.core.grafting.grafter import Grafter, Scion
from studio.core.optiontable import OptionTable
from studio.core.report import SilentReporter
from studio.core.runtime import ExecutedNode
from studio.core.sensing import Sensor, layer_times
from studio.core.sensitivity import LayerOption, Sensitivity, grouped
from studio.jobs.pool import JobPool
from studio.workbench import Workbench
from tests.analysis.support import damaged, engine, given, saved, stored
from tests.passes.graph.harness import REGISTRY
from tests.passes.quantize.support import images, residual_cnn

DATA = given(images(24))


def sensor(folder: Path, **noise: float) -> Sensor:
    proto = residual_cnn()
    source = saved(proto, folder / "a.onnx")
    for weight, level in noise.items():
        proto = damaged(proto, weight, level)
    grafter = Grafter(source, [Scion("noisy", saved(proto, folder / "b.onnx"))])
    return Sensor(engine(folder), grafter, source, DATA, 16, folder)


def test_the_most_damaged_layer_is_the_most_sensitive(tmp_path: Path) -> None:
    found = sensor(tmp_path, w1=0.02, w2=0.5, w4=0.1)
    estimates = found.estimates("noisy")
    measured = {output: found.measure({output: "noisy"}) for output in estimates}
    assert set(estimates) == {"c1", "c2", "logits"}
    assert estimates["c2"] > 10 * estimates["c1"]
    assert measured["c2"].noise > 10 * measured["c1"].noise
    assert estimates["logits"] == pytest.approx(measured["logits"].noise, rel=0.3)
    assert measured["logits"].noise == pytest.approx(0.01, rel=0.6)
    assert all(item.samples == 16 and item.agreement is not None for item in measured.values())


def test_errors_of_single_layers_nearly_add_up(tmp_path: Path) -> None:
    found = sensor(tmp_path, w1=0.02, w2=0.02, w4=0.02)
    outputs = list(found.estimates("noisy"))
    alone = sum(found.measure({output: "noisy"}).noise for output in outputs)
    assert alone / 3 < found.measure(dict.fromkeys(outputs, "noisy")).noise < 3 * alone


def test_time_for_measuring_and_what_is_known(tmp_path: Path) -> None:
    found = sensor(tmp_path, w1=0.02, w2=0.5, w4=0.1)
    known = LayerOption(layers=(), operator="", output="logits", choice="noisy", noise=0.5, samples=7)
    table = OptionTable(found, SilentReporter(), [known])
    table.estimate(["noisy"])
    assert not table.measure(0.0)
    assert {item.output: item.noise for item in table.options if item.noise is not None} == {"logits": 0.5}
    assert all(item.estimate is not None for item in table.options)
    assert "estimated only" in table.warnings[0]
    assert table.measure()
    assert all(item.noise is not None for item in table.options)


def test_times_are_attributed_to_layers() -> None:
    def node(name: str, nanoseconds: int, *sources: str) -> ExecutedNode:
        return ExecutedNode(name=name, operator="Conv", nanoseconds=nanoseconds, sources=sources)

    before = [node("conv1_nchwc", 4_000_000, "x"), node("fused", 6_000_000, "conv2", "fc"), node("other", 1_000_000)]
    after = [node("conv1/WithoutBiases", 1_000_000), node("q", 500_000, "q1"), node("fc", 3_000_000)]
    old = {"conv1": "a", "conv2": "b", "fc": "c"}
    new = {"conv1": "a", "q1": "a", "fc": "c"}
    assert layer_times(before, after, old, new) == {"a": 2.5, "b": 3.0, "c": 0.0}
    assert layer_times(before, (), old, new) == {}


def test_assignment_is_the_best_there_is() -> None:
    random = np.random.default_rng(3)
    groups = [
        [Item(), *(Item(-float(a), float(b), 0.0, -float(c)) for a, b, c in random.uniform(0, 1, (2, 3)))]
        for _ in range(6)
    ]
    for limits in (Limits(noise=1.2), Limits(noise=0.8, bytes=-2.0), Limits()):
        solved = assign(groups, limits)
        best = min(cost for cost, noise, size in _all(groups) if _within(noise, size, limits))
        cost, noise, size = _sums(groups, solved.chosen)
        assert cost == pytest.approx(best, abs=1e-6)
        assert _within(noise, size, limits)
        assert (solved.gap, solved.feasible) == (0.0, True)


def _sums(groups: list[list[Item]], chosen: tuple[int, ...]) -> tuple[float, float, float]:
    picked = [group[index] for group, index in zip(groups, chosen, strict=True)]
    return sum(i.cost for i in picked), sum(i.noise for i in picked), sum(i.bytes for i in picked)


def _all(groups: list[list[Item]]) -> Iterator[tuple[float, float, float]]:
    for index in np.ndindex(*(len(group) for group in groups)):
        yield _sums(groups, index)


def _within(noise: float, size: float, limits: Limits) -> bool:
    fits = limits.bytes is None or size <= limits.bytes + 1e-9
    return fits and (limits.noise is None or noise <= limits.noise + 1e-9)


def test_a_budget_that_cannot_be_kept() -> None:
    solved = assign([[Item(), Item(-1.0, 0.5, bytes=-10)]], Limits(bytes=-20.0))
    assert not solved.feasible
    assert solved.chosen == (1,)
    assert assign([], Limits()).chosen == ()


def option(layer: str, choice: str, **values: Any) -> LayerOption:
    return LayerOption(layers=(layer,), operator="Conv", output=values.pop("output", layer), choice=choice, **values)


def test_the_budget_slider_takes_one_form_for_each_layer() -> None:
    options = (
        option("a", "int8", noise=1e-3, milliseconds=2.0, bytes=10),
        option("a", "int4", noise=5e-3, milliseconds=0.1, bytes=90, output="a_relu"),
        option("b", "int8", noise=2e-4, milliseconds=1.0, bytes=10),
        option("c", "int8", noise=1e-6, milliseconds=-1.0, bytes=10),
        option("d", "int8", milliseconds=9.0),
    )
    found = Sensitivity(
        model_sha256="",
        model_name="",
        device="",
        runtime_version="",
        dataset="",
        dataset_digest="",
        synthetic=False,
        choices={},
        options=options,
    )
    assert found.choose(1.1e-3) == {"a": "int8"}
    assert found.choose(1.3e-3) == {"a": "int8", "b": "int8"}
    assert found.choose(1e-2, minimize="size") == {"a_relu": "int4", "b": "int8", "c": "int8"}
    assert found.choose(0.0) == {}


def test_layers_that_change_together() -> None:
    options = [option("a", "x"), option("b", "x"), option("c", "x"), option("b", "y")]
    groups = grouped(options, [("a", "b"), ("unknown", "c")])
    assert sorted(group.layers for group in groups) == [("a", "b"), ("c",)]
    (both,) = [group for group in groups if "a" in group.layers]
    assert {label: len(found) for label, found in both.forms.items()} == {"x": 2, "y": 1}


def test_forms_are_named_by_passes() -> None:
    known = known_choices(REGISTRY)
    assert known["int8"].pass_id == "quantize.static"
    assert known["int4-weights"].params["bits"] == 4
    assert "low-rank" in known
    assert "low-rank" not in pick_choices(REGISTRY)
    with pytest.raises(UsageError, match="int8"):
        pick_choices(REGISTRY, ["int9"])


def test_a_whole_run_keeps_its_measurements(tmp_path: Path) -> None:
    source = saved(residual_cnn(), tmp_path / "a.onnx")
    stored(tmp_path / "d.npz", image=images(24)["image"])
    heard: list[LayerOption] = []
    with JobPool(spare=False) as pool:
        work = Workbench(REGISTRY, pool, tmp_path / "cache")
        runtime = REGISTRY.get_runtime("onnxruntime")
        options = SenseOptions(choices=pick_choices(REGISTRY, ["int8"]), samples=8)
        device = runtime.devices()[0]

        def ask(**values: Any) -> Sensitivity:
            chosen = options.model_copy(update=values)
            return sensitivity(work, source, device, tmp_path / "d.npz", chosen, on_option=heard.append)

        found = ask()
        assert found.complete
        assert [item.layers for item in found.options] == [("conv1",), ("conv2",), ("depthwise",), ("fc",)]
        assert all(item.noise and item.samples == 8 for item in found.options)
        # the quantizers of a very small layer take more of the file than its weights save
        gained = {item.layers[0]: item.bytes for item in found.options}
        assert max(gained.values()) > 0 and sum(gained.values()) > 0
        assert all(item.milliseconds is not None for item in found.options)
        assert {item.output for item in heard if item.noise is not None} == {"r1", "r2", "c3", "logits"}
        again = ask(seconds=0.0, times=False)
        assert again.complete
        assert [item.noise for item in again.options] == [item.noise for item in found.options]
        work.close()
