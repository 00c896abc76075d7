"""The search on a synthetic machine whose best settings are known."""

from __future__ import annotations

from studio.core.machine.sweeping import (
    Setting,
    SweepPoint,
    SweepSpace,
    best_point,
    pareto_front,
    propose,
)

SPACE = SweepSpace(
    batch=(1, 2, 4, 8, 16, 32),
    threads=(1, 2, 4, 8, 16),
    streams=(1, 2, 4, 8),
    requests=(1, 2, 4, 8, 16),
    hint=("latency", "throughput"),
)
CORES = 8


def machine(setting: Setting, seconds: float) -> SweepPoint:
    """Eight cores: threads of one stream share its work with losses, streams run side by side, caches fill up."""
    threads, streams = setting.threads or 1, setting.streams or 1
    each = threads / streams
    speed = 1 / (0.1 + 0.9 / each)
    busy = min(streams, setting.requests)
    crowded = max(1.0, busy * each / CORES) ** 1.5
    batch = setting.batch * (1 + 0.004 * setting.batch) + 0.6
    service = batch / speed * crowded * (1.05 if setting.hint == "latency" else 1.0)
    latency = service * max(1.0, setting.requests / streams)
    return SweepPoint(
        setting=setting,
        throughput=1000 * setting.batch * setting.requests / latency,
        p50_ms=latency,
        inferences=100,
        seconds=seconds,
    )


def search(
    space: SweepSpace, limit: float | None = None, known: dict[Setting, SweepPoint] | None = None, most: int = 10_000
) -> tuple[dict[Setting, SweepPoint], int]:
    found = dict(known or {})
    steps = 0
    while steps < most and (chosen := propose(space, found, 0.5, limit)) is not None:
        found[chosen[0]] = machine(*chosen)
        steps += 1
    return found, steps


def test_it_finds_the_best_throughput_and_measures_a_part_of_the_space() -> None:
    everything = [machine(setting, 1.0) for setting in SPACE.settings()]
    found, _ = search(SPACE)
    best, truth = best_point(list(found.values())), best_point(everything)
    assert best is not None
    assert truth is not None
    assert best.throughput >= 0.98 * truth.throughput
    assert len(found) <= 0.45 * len(everything)


def test_it_finds_the_quickest_setting_too() -> None:
    truth = min(machine(setting, 1.0).p50_ms for setting in SPACE.settings())
    found, _ = search(SPACE)
    assert pareto_front(list(found.values()))[0].p50_ms <= 1.05 * truth


def test_a_latency_limit_is_kept_and_saves_work() -> None:
    limit = 3.0
    everything = [machine(setting, 1.0) for setting in SPACE.settings()]
    found, steps = search(SPACE, limit)
    best, truth = best_point(list(found.values()), limit), best_point(everything, limit)
    assert best is not None
    assert truth is not None
    assert best.p50_ms <= limit
    assert best.throughput >= 0.97 * truth.throughput
    assert steps < search(SPACE)[1]


def test_the_hopeless_corner_is_not_measured() -> None:
    found, _ = search(SPACE)
    corner = [setting for setting in found if (setting.threads, setting.streams, setting.batch) == (16, 1, 32)]
    assert corner == []


def test_an_interrupted_search_goes_on_where_it_was() -> None:
    whole, steps = search(SPACE)
    part, done = search(SPACE, most=steps // 2)
    rest, more = search(SPACE, known=part)
    assert done + more == steps
    assert rest == whole


def test_the_front_is_measured_longer_in_halves() -> None:
    found, _ = search(SPACE)
    longer = sorted({point.seconds for point in found.values()})
    assert longer == [0.5, 1.0, 2.0]
    assert sum(point.seconds == 2.0 for point in found.values()) <= 4
    best = best_point(list(found.values()))
    assert best is not None
    assert best.seconds == 2.0


def test_a_setting_that_fails_leads_nowhere_and_is_not_tried_again() -> None:
    space = SweepSpace(batch=(1, 2, 4), threads=(1,), requests=(1,))
    failed = {
        setting: SweepPoint(setting=setting, seconds=0.5, why_not="It does not run.") for setting in space.settings()
    }
    assert propose(space, failed, 0.5) is None
    assert best_point(list(failed.values())) is None
    assert pareto_front(list(failed.values())) == ()


def test_a_stream_has_a_thread_and_a_request() -> None:
    settings = list(SPACE.settings())
    assert all((setting.streams or 1) <= (setting.threads or 1) for setting in settings)
    assert not any((setting.streams or 1) > setting.requests for setting in settings)


def test_the_limit_is_held_by_p90_where_it_is_known() -> None:
    quick = SweepPoint(setting=Setting(), throughput=10, p50_ms=1.0, p90_ms=1.5)
    spread = SweepPoint(setting=Setting(batch=2), throughput=20, p50_ms=1.0, p90_ms=9.0)
    assert best_point([quick, spread], 2.0) == quick
    assert best_point([quick, spread]) == spread
