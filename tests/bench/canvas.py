"""How long graphs of 10,000 nodes take to be drawn: first picture through a worker, frames of panning and zooming.

    python -m tests.bench.canvas [MODEL.onnx ...]

Without models: a residual and a transformer-shaped graph of 10,000 nodes, and the DenseNet-121 of the onnx package.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import itertools

import onnx
from PySide6.QtCore import QPointF
from PySide6.QtWidgets import QApplication

from studio.core.artifact import open_artifact
from studio.jobs.pool import JobPool
from studio.locations import load_registry
from studio.ui.graph.canvas import GraphCanvas
from studio.ui.graph.loading import lay_out
from studio.ui.theme import load_tokens
from studio.workbench import Workbench

NODES = 10_000
FRAMES = 60


def residual(path: Path) -> Path:
    """Write a graph of residual blocks without weights."""
    nodes, last = [], "x"
    for block in range(NODES // 5):
        names = [f"b{block}_{part}" for part in "abcde"]
        nodes.append(onnx.helper.make_node("Relu", [last], [names[0]], name=f"/stage{block // 100}/block{block}/relu1"))
        for before, after in itertools.pairwise(names[:3]):
            nodes.append(
                onnx.helper.make_node("Sigmoid", [before], [after], name=f"/stage{block // 100}/block{block}/{after}")
            )
        nodes.append(
            onnx.helper.make_node("Tanh", [names[2]], [names[3]], name=f"/stage{block // 100}/block{block}/tanh")
        )
        nodes.append(
            onnx.helper.make_node("Add", [names[3], last], [names[4]], name=f"/stage{block // 100}/block{block}/add")
        )
        last = names[4]
    return _write(path, nodes, last)


def transformer(path: Path) -> Path:
    """Write a graph of attention and feed-forward blocks that all read one mask; without weights or names."""
    nodes, last = [onnx.helper.make_node("Abs", ["x"], ["mask"])], "x"
    for layer in range(NODES // 12):
        name = [f"l{layer}_{index}" for index in range(12)]
        chain = [("Relu", [last]), ("Neg", [name[0]]), ("Exp", [name[0]]), ("Tanh", [name[0]])]
        chain += [("Mul", [name[1], name[2]]), ("Add", [name[4], "mask"]), ("Sigmoid", [name[5]])]
        chain += [("Mul", [name[6], name[3]]), ("Add", [name[7], last]), ("Erf", [name[8]])]
        chain += [("Mul", [name[9], name[8]]), ("Add", [name[10], name[8]])]
        nodes += [onnx.helper.make_node(kind, inputs, [out]) for (kind, inputs), out in zip(chain, name, strict=True)]
        last = name[11]
    return _write(path, nodes, last)


def _write(path: Path, nodes: list[onnx.NodeProto], output: str) -> Path:
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(nodes, "g", [info("x", 1, [1, 8])], [info(output, 1, [1, 8])])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]), path)
    return path


def main(paths: list[Path]) -> None:
    """Measure each model."""
    app = QApplication.instance() or QApplication([])
    assert app is not None
    with tempfile.TemporaryDirectory() as folder, JobPool() as pool:
        root = Path(folder)
        light = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / "light_densenet121.onnx"
        work = Workbench(load_registry(), pool, root / "cache")
        for path in paths or [residual(root / "residual.onnx"), transformer(root / "transformer.onnx"), light]:
            measure(work, path)
        work.close()


def measure(work: Workbench, path: Path) -> None:
    """Print the figures of a model, collapsed and with every block opened."""
    artifact = open_artifact(path)
    canvas = GraphCanvas(load_tokens("light"))
    canvas.resize(1000, 700)
    opened: set[str] | None = None
    for title in ("overview", "all open"):
        begin = time.perf_counter()
        scene = lay_out(work, artifact, opened, lambda _: None)
        canvas.set_scene(scene)
        canvas.grab()
        first = time.perf_counter() - begin
        print(f"{path.name}, {scene.nodes:,} nodes, {title}: {scene.count:,} drawn; first picture {first:.2f} s")
        for zoom in (1.0, 0.3, 0.1):
            canvas.start()
            canvas.zoom_by(zoom / canvas.zoom)
            _frames(canvas, f"  panning at zoom {zoom}")
        canvas.fit()
        _frames(canvas, "  whole graph")
        opened = {block.key for block in scene.picture.blocks}


def _frames(canvas: GraphCanvas, title: str) -> None:
    times = []
    middle = canvas.view.center()
    for frame in range(FRAMES):
        begin = time.perf_counter()
        canvas.center(middle + QPointF(3.0 * (frame % 20), 7.0 * frame) / canvas.zoom)
        canvas.grab()
        times.append(1e3 * (time.perf_counter() - begin))
    ordered = sorted(times)
    print(f"{title}: median {statistics.median(times):.1f} ms, 95 % under {ordered[int(0.95 * FRAMES)]:.1f} ms a frame")


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
