from __future__ import annotations

import math

import numpy as np
import pytest

from studio.core.comparison import OutputDifference


def _difference(reference: object, other: object, samples: int = 2) -> OutputDifference:
    found = OutputDifference()
    found.add({"y": np.asarray(reference)}, {"y": np.asarray(other)}, samples)
    return found


def test_identical_outputs() -> None:
    values = np.array([[1.0, 2.0], [3.0, 1.0]], np.float32)
    found = _difference(values, values.copy())
    assert found.identical
    assert found.sqnr_db is None
    assert found.cosine == pytest.approx(1.0)
    assert found.top1_agreement == 1.0
    assert found.within_rounding()


def test_figures_by_hand() -> None:
    found = _difference(np.array([[3.0, 4.0], [0.0, 5.0]]), np.array([[3.0, 4.5], [5.0, 0.0]]))
    assert found.max_abs_error == 5.0
    assert found.sqnr_db == pytest.approx(10 * math.log10(50 / 50.25))
    assert found.cosine == pytest.approx((27 / (5 * math.hypot(3, 4.5)) + 0.0) / 2)
    assert found.top1_agreement == 0.5
    assert not found.within_rounding()


def test_batches_add_up() -> None:
    random = np.random.default_rng(0)
    reference, other = random.normal(size=(6, 5)), random.normal(size=(6, 5))
    whole, parts = _difference(reference, other, 6), OutputDifference()
    for at in (0, 2, 4):
        parts.add({"y": reference[at : at + 2]}, {"y": other[at : at + 2]}, 2)
    assert parts.sqnr_db == pytest.approx(whole.sqnr_db)
    assert parts.cosine == pytest.approx(whole.cosine)
    assert parts.top1_agreement == whole.top1_agreement


def test_new_nan_is_seen_and_an_old_one_forgiven() -> None:
    assert _difference(np.array([1.0, np.nan]), np.array([1.0, np.nan])).identical
    broken = _difference(np.array([1.0, 2.0]), np.array([1.0, np.nan]))
    assert broken.new_nan
    assert not broken.within_rounding()


def test_another_shape_or_a_lost_output_is_named() -> None:
    assert "(2, 3)" in _difference(np.zeros((2, 3)), np.zeros((3, 2))).shape_change
    lost = OutputDifference()
    lost.add({"y": np.zeros(2)}, {}, 1)
    assert "gone" in lost.shape_change
    assert not lost.within_rounding()


def test_integers_may_flip_seldom() -> None:
    values = np.zeros(1000, np.int64)
    few, many = values.copy(), values.copy()
    few[:5] = 1
    many[:50] = 1
    assert _difference(values, few, 1).within_rounding()
    assert not _difference(values, few, 1).identical
    assert not _difference(values, many, 1).within_rounding()


def test_rounding_is_accepted_and_more_is_not() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    assert _difference(values, values * (1 + 1e-6), 1).within_rounding()
    assert not _difference(values, values * 1.01, 1).within_rounding()


def test_strings_and_empty_outputs() -> None:
    assert _difference(np.array(["a", "b"], object), np.array(["a", "b"], object)).identical
    assert _difference(np.zeros((0, 4)), np.zeros((0, 4)), 0).within_rounding()
