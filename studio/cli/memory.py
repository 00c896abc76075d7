"""The plan of the activations' memory, for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from studio.core.memoryplan import MemoryPlan
from studio.report.text import size

#: tensors shown; --json has them all
TOP_TENSORS = 20


def print_memory(console: Console, plan: MemoryPlan) -> None:
    """Write the arena's size, then its largest tensors with their place and life."""
    sharing = f"{size(plan.total_bytes)} without sharing"
    console.print(f"memory    arena of {size(plan.arena_bytes)} for the activations, {sharing}", markup=False)
    at = f" at {plan.peak_node}" if plan.peak_node else ""
    console.print(f"          {size(plan.peak_bytes)} held at most{at}; no plan of this order needs less", markup=False)
    if plan.assumed:
        taken = ", ".join(f"{name}={value}" for name, value in plan.assumed.items())
        console.print(f"          with {taken} (--dim changes it)", markup=False)
    if plan.unknown:
        console.print(f"          {len(plan.unknown)} tensors of unknown size are not counted", markup=False)
    table = Table(box=None, pad_edge=False)
    for title in ("size", "offset", "steps", "tensor", "made by", "last read by"):
        table.add_column(title, justify="right" if title in ("size", "offset", "steps") else "left")
    for item in plan.tensors[:TOP_TENSORS]:
        steps = f"{item.first}-{item.last}"
        table.add_row(size(item.bytes), f"{item.offset:,}", steps, item.tensor, item.maker, item.reader)
    console.print(table)
    if len(plan.tensors) > TOP_TENSORS:
        console.print(f"and {len(plan.tensors) - TOP_TENSORS} smaller ones (--json has all)")
    console.print("Engines reorder nodes and share memory by plans of their own: measure with 'burnish bench'.")
