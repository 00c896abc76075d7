from __future__ import annotations

from pathlib import Path

import pytest

from studio.core.machine.record import PredictedResult, prediction_record, summarize_record


def result(ratio: float, low: float = 1.0, high: float = 2.0, variant: str = "v", **more: object) -> PredictedResult:
    made = PredictedResult(
        passes=("quantize.static",),
        device="runtime:CPU",
        baseline_sha256="b",
        variant_sha256=variant,
        low=low,
        high=high,
        calibrated=True,
        reason="",
        ratio=ratio,
        ratio_low=0.95 * ratio,
        ratio_high=1.05 * ratio,
        batch=1,
        threads=1,
        machine="m",
        taken_at="2026-01-01T00:00:00+00:00",
    )
    return made.model_copy(update=more)


def test_hit_rate_bias_and_curve() -> None:
    found = summarize_record([result(1.5, variant="1"), result(2.05, variant="2"), result(4.0, variant="3")])
    (row,) = found.rows
    assert (row.results, row.hits, row.contradicted) == (3, 1, 1)
    assert row.hit_rate == pytest.approx(1 / 3)
    assert row.hit_low < row.hit_rate < row.hit_high
    assert row.bias == pytest.approx(2.05 / 2**0.5)
    (point,) = found.curve
    assert point.results == 3
    assert point.predicted == pytest.approx(2**0.5)
    assert point.measured == pytest.approx((1.5 * 2.05 * 4) ** (1 / 3))


def test_measuring_a_pair_again_does_not_count_twice() -> None:
    found = summarize_record([result(9.0), result(1.5)])
    assert found.overall is not None
    assert (found.overall.results, found.overall.hits) == (1, 1)


def test_passes_and_devices_are_told_apart() -> None:
    found = summarize_record(
        [result(1.5), result(1.5, device="other:CPU"), result(1.5, variant="2", passes=("prune.layers",))]
    )
    assert len(found.rows) == 3


def test_an_empty_record() -> None:
    assert summarize_record([]).overall is None


def test_the_record_is_kept(tmp_path: Path) -> None:
    record = prediction_record(tmp_path / "predictions.jsonl")
    record.append([result(1.5)])
    record.append([result(1.7, variant="2")])
    facts, problems = record.read()
    assert [fact.ratio for fact in facts] == [1.5, 1.7]
    assert problems == ()
