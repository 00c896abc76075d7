"""``burnish inspect``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from studio.cli.app import App
from studio.cli.memory import print_memory
from studio.cli.options import PATH, check_dims, common, parse_dims
from studio.cli.shapes import InspectDocument
from studio.core.modelinfo import ModelInfo
from studio.report.text import count, size, tensor


@click.command("inspect")
@click.argument("model", type=PATH)
@click.option("--dim", "dims", multiple=True, metavar="NAME=SIZE", help="Size of a dynamic dimension.")
@click.option("--memory", is_flag=True, help="Also plan the activations' memory: each tensor's life and offset.")
@common
def command(app: App, model: Path, dims: tuple[str, ...], memory: bool) -> None:
    """Show inputs, outputs, operators, parameters, MACs, bytes, precisions and problems.

    \b
    Examples:
      burnish inspect model.onnx
      burnish inspect model.onnx --dim sequence=128 --json
      burnish inspect model.onnx --memory
    """
    sizes = parse_dims(dims)
    opened = app.work.open_model(model, dims=sizes, memory=memory, watch=app.watcher())
    check_dims(sizes, [opened.info])

    def human(console: Console) -> None:
        _print(console, opened.info)
        if opened.memory is not None:
            print_memory(console, opened.memory)

    app.show(InspectDocument(model=opened.info, memory=opened.memory), human)


def _print(console: Console, info: ModelInfo) -> None:
    opsets = ", ".join(f"{domain} {version}" for domain, version in info.opsets.items())
    external = f" ({size(info.external_bytes)} external)" if info.external_bytes else ""
    console.print(f"{info.path.name}  {size(info.bytes)}{external}, opset {opsets}, IR {info.ir_version}", markup=False)
    if info.producer:
        console.print(f"made by   {info.producer}", markup=False)
    for item in info.inputs:
        console.print(f"input     {tensor(item)}", markup=False)
    for item in info.outputs:
        console.print(f"output    {tensor(item)}", markup=False)
    console.print(f"nodes     {info.nodes} in the main graph, {info.subgraphs} subgraphs, {info.functions} functions")
    console.print(f"operators {', '.join(f'{name} {number}' for name, number in info.operators.items())}", markup=False)
    weights = ", ".join(f"{name} {size(total)}" for name, total in info.precision_bytes.items())
    console.print(f"weights   {count(info.parameters)} parameters: {weights}", markup=False)
    console.print(f"compute   {_macs(info)}", markup=False)
    for problem in info.problems:
        console.print(f"problem   {problem}", markup=False)


def _macs(info: ModelInfo) -> str:
    text = "multiply-accumulates unknown: a shape is missing" if info.macs is None else f"{count(info.macs)} MACs"
    if info.assumed:
        text += " with " + ", ".join(f"{name}={value}" for name, value in info.assumed.items())
    if info.macs_uncounted:
        text += f"; not counted: {', '.join(info.macs_uncounted)}"
    return text
