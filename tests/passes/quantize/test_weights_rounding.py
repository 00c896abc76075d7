"""Grids, rounding and packing of weights, by themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from plugins.quantize.gptq import curvature, gptq
from plugins.quantize.grid import Grid, importance, in_blocks
from plugins.quantize.hqq import half_quadratic
from plugins.quantize.levels import LevelsWriter, packed
from plugins.quantize.rounding import round_blocks, squared_error

BITS = (1, 2, 3, 4, 8)
ROWS = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 40)),
    elements=st.floats(-1000, 1000, width=32).filter(lambda value: value == 0 or abs(value) > 1e-3),
)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, bits=st.sampled_from(BITS), symmetric=st.booleans())
def test_codes_are_on_the_grid_and_errors_within_half_a_step(rows: NDArray[Any], bits: int, symmetric: bool) -> None:
    grid, weights = Grid(bits, symmetric), importance(None, rows.shape[1], 16)
    blocks = in_blocks(rows, 16)
    found = round_blocks(blocks, grid, weights, search=False)
    assert np.isin(found.codes, np.arange(grid.low, grid.high + 1)).all()
    if bits > 1:
        # A grid may end a step before a value: it has one code less on one side, and whole zero points.
        most = 1.0
        assert (np.abs(found.values() - blocks) <= most * np.abs(found.scales)[..., None] * 1.001 + 1e-6).all()
    searched = round_blocks(blocks, grid, weights, search=True)
    plain = squared_error(blocks, found, weights)
    assert (squared_error(blocks, searched, weights) <= plain * 1.0001 + 1e-6).all()


@settings(max_examples=40, deadline=None)
@given(codes=hnp.arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 9)), elements=st.integers(0, 255)))
def test_packing_keeps_every_code(codes: NDArray[Any]) -> None:
    for bits in (2, 4, 8):
        small = codes & np.uint8((1 << bits) - 1)
        whole = packed(small, bits)
        assert whole.shape[-1] == -(-codes.shape[-1] * bits // 8)
        parts = [(whole >> np.uint8(shift)) & np.uint8((1 << bits) - 1) for shift in range(0, 8, bits)]
        again = np.stack(parts, axis=-1).reshape(len(codes), -1)[:, : codes.shape[1]]
        np.testing.assert_array_equal(again, small)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("inputs", [1, 15, 16, 50])
def test_one_block_a_row_becomes_many_of_the_same_scale(inputs: int, symmetric: bool) -> None:
    rows = np.random.default_rng(0).normal(size=(5, inputs)).astype(np.float32)
    grid = Grid(4, symmetric)
    found = round_blocks(in_blocks(rows, inputs), grid, importance(None, inputs, inputs), search=True)
    writer = LevelsWriter(5, inputs, inputs, grid, 4)
    writer.put(0, found)
    small = writer.levels.resized(16)
    assert small.codes.shape == (5, -(-inputs // 16), 16)
    zeros: Any = small.half if small.zeros is None else small.zeros[..., None]
    values = small.scales[..., None] * (small.codes.astype(np.float32) - zeros)
    flat = values.reshape(5, -1)
    np.testing.assert_allclose(flat[:, :inputs], found.matrix(inputs), atol=1e-6)
    assert not flat[:, inputs:].any(), "fillers stand for zero"


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_half_quadratic_beats_extremes_on_heavy_tails(bits: int) -> None:
    rows = np.random.default_rng(1).standard_t(3, size=(400, 64)).astype(np.float32)
    blocks, weights = in_blocks(rows, 64), importance(None, 64, 64)
    for symmetric in (True, False):
        grid = Grid(bits, symmetric)
        plain = np.abs(round_blocks(blocks, grid, weights, search=False).values() - blocks).mean()
        assert np.abs(half_quadratic(blocks, grid, weights).values() - blocks).mean() < 0.98 * plain


@pytest.mark.parametrize("act_order", [False, True])
@pytest.mark.parametrize("size", [16, 32, 50, 64])
def test_gptq_makes_up_for_its_errors(size: int, act_order: bool) -> None:
    random = np.random.default_rng(2)
    mixing = random.normal(size=(50, 50)) @ np.diag(np.exp(random.normal(size=50)))
    seen, held_out = (random.normal(size=(1000, 50)) @ mixing for _ in range(2))
    rows = random.normal(size=(20, 50)).astype(np.float32)
    known = curvature(seen.T @ seen / len(seen), 0.01, act_order=act_order)
    for grid in (Grid(4, symmetric=True), Grid(3, symmetric=False), Grid(1, symmetric=True)):
        weights = importance(known.squares, 50, size)
        plain = round_blocks(in_blocks(rows, size), grid, weights, search=True).matrix(50)
        fitted = gptq(rows, known, grid, size, search=True)
        assert np.isin(fitted.codes, np.arange(grid.low, grid.high + 1)).all()
        errors = [float(np.square(held_out @ (found - rows).T).sum()) for found in (plain, fitted.matrix(50))]
        assert errors[1] < 0.9 * errors[0]


def test_gptq_with_inputs_that_say_nothing() -> None:
    rows = np.random.default_rng(3).normal(size=(4, 20)).astype(np.float32)
    one = np.random.default_rng(4).normal(size=(3, 20))
    one[:, 5] = 0
    for hessian in (np.zeros((20, 20)), one.T @ one):
        found = gptq(rows, curvature(hessian, 1e-12, act_order=True), Grid(4, symmetric=True), 16, search=True)
        assert np.isfinite(found.values()).all()
        assert np.abs(found.matrix(20)[:, 5] - rows[:, 5]).max() < 0.5


def test_nothing_but_zeros() -> None:
    for bits in BITS:
        for symmetric in (True, False):
            blocks = np.zeros((2, 1, 16), np.float32)
            weights = importance(None, 16, 16)
            for found in (
                round_blocks(blocks, Grid(bits, symmetric), weights, search=True),
                half_quadratic(blocks, Grid(bits, symmetric), weights),
            ):
                assert not found.values().any()
