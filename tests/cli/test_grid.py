"""Tables of measurements are whole at any width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from studio.cli.grid import print_grid

TITLES = ("model", "device", "p50", "samples", "ratio", "memory")
ROWS = [
    ("a-model-with-a-rather-long-name.onnx", "onnxruntime:CPU", "12.345 ms", "2000", "baseline", "85.31 MB"),
    ("m[red].onnx", "openvino:CPU", "6.172 ms", "2000", "2.00x (1.95-2.05) no significant difference", ""),
]


def printed(width: int, *, terminal: bool) -> str:
    stream = io.StringIO()
    console = Console(
        file=stream, width=width, force_terminal=terminal, color_system=None, markup=False, emoji=False, highlight=False
    )
    print_grid(console, TITLES, ROWS, heads=2)
    return stream.getvalue()


@pytest.mark.parametrize(("width", "terminal"), [(80, True), (40, True), (200, True), (80, False)])
def test_no_cell_is_cut(width: int, terminal: bool) -> None:
    text = printed(width, terminal=terminal)
    assert "…" not in text
    flat = " ".join(text.split())
    for cell in (cell for row in ROWS for cell in row):
        assert cell in flat or cell.replace(" ", "") in flat.replace(" ", "")
    if terminal:
        assert all(len(line) <= width for line in text.splitlines() if line.startswith("  "))


def test_a_wide_terminal_and_a_pipe_get_a_line_for_each_row() -> None:
    assert len(printed(200, terminal=True).splitlines()) == 1 + len(ROWS)
    assert len(printed(80, terminal=False).splitlines()) == 1 + len(ROWS)


def test_a_narrow_terminal_gets_headings() -> None:
    lines = printed(80, terminal=True).splitlines()
    assert "m[red].onnx on openvino:CPU" in lines
    assert "  p50 6.172 ms  samples 2000  ratio 2.00x (1.95-2.05) no significant difference" in lines
