"""Tables of short cells that are never cut: side by side where there is room, else one row below the other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_GAP = "  "


def print_grid(
    console: Console,
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[str] = (),
    heads: int = 1,
) -> None:
    """Write a table.

    Where it is wider than the terminal each row becomes a heading and lines of "title value" below it.
    A file or pipe has no width: a row is a line there.

    Parameters
    ----------
    titles
        One for each column.
    rows
        Cells, one for each title; empty ones are left out where rows become lines.
    right
        Titles of the columns that are aligned to the right.
    heads
        How many columns make a row's heading.
    """
    table = list(_table(titles, rows, right))
    if not console.is_terminal or max(map(cell_len, table)) <= console.width:
        for index, line in enumerate(table):
            console.print(Text(line, "" if index else "bold"), soft_wrap=True)
        return
    for row in rows:
        console.print(Text(" on ".join(filter(None, row[:heads])), "bold"), soft_wrap=True)
        pairs = [f"{title} {cell}" for title, cell in zip(titles[heads:], row[heads:], strict=True) if cell]
        for line in _packed(pairs, console.width - len(_GAP)):
            console.print(Text(_GAP + line), soft_wrap=True)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str]) -> Iterator[str]:
    lines = [tuple(titles), *rows]
    widths = [max(cell_len(line[column]) for line in lines) for column in range(len(titles))]
    for line in lines:
        cells = [_padded(cell, width, title in right) for title, cell, width in zip(titles, line, widths, strict=True)]
        yield _GAP.join(cells).rstrip()


def _padded(cell: str, width: int, right: bool) -> str:
    blanks = " " * (width - cell_len(cell))
    return blanks + cell if right else cell + blanks


def _packed(pairs: Sequence[str], width: int) -> Iterator[str]:
    """Put as many pairs in a line as there is room for; one that is too long alone goes on in the next."""
    line = ""
    for pair in pairs:
        if line and cell_len(line) + len(_GAP) + cell_len(pair) > width:
            yield line
            line = ""
        line = f"{line}{_GAP}{pair}" if line else pair
        while cell_len(line) > width:
            room = line.rfind(" ", 1, width + 1)
            cut = room if room > 0 else width
            yield line[:cut]
            line = _GAP + line[cut:].lstrip()
    if line:
        yield line
