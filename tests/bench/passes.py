"""Time and peak memory of passes, each in a process of its own, and of the libraries called directly.

    python -m tests.bench.passes                     every row, on 100, 1,000 and 10,000 nodes
    python -m tests.bench.passes --large 2.5         also on so many gigabytes of weights
    python -m tests.bench.passes --only graph.clean --sizes 1000

A row is added to `ROWS`: a pass with its parameters, and what calls its library directly, if there is one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
#: samples that passes calibrate on, generated
SAMPLES = 16
#: seconds after which a row is given up
PATIENCE = 900


@dataclass(frozen=True)
class Row:
    """A pass with its parameters, and the name in `PEERS` of what to compare it with."""

    pass_id: str
    params: dict[str, Any]
    peer: str = ""
    #: whether it is also run on the large model
    large: bool = True


ROWS = (
    Row("graph.clean", {}, "onnxslim"),
    Row("graph.clean", {}, "onnxscript.optimizer", large=False),
    Row("graph.fold-batchnorm", {}),
    Row("graph.fuse", {}),
    Row("graph.fuse", {"engine": "microsoft"}),
    Row("graph.fuse", {"engine": "onnxruntime"}, "onnxruntime", large=False),
    Row("graph.freeze-shapes", {"dims": ["batch=2"]}),
    Row("graph.batch", {"size": 2}),
    Row("graph.extract", {"outputs": ["b3_y"]}, "onnx.utils.Extractor", large=False),
    Row("graph.extract", {"outputs": ["m3"]}),
    Row("graph.convert-opset", {"opset": 21}, "onnx.version_converter"),
    Row("graph.memory-plan", {}),
    Row("graph.fold-preprocessing", {}, large=False),
    Row("graph.layout", {"inputs": "nhwc", "outputs": "nhwc"}),
    Row("quantize.static", {"samples": SAMPLES}, "quantize_static", large=False),
    Row("quantize.dynamic", {}, "quantize_dynamic"),
    Row("quantize.float16", {"samples": 0}, "float16"),
    Row("quantize.bfloat16", {"least": 0.0}),
    Row("quantize.weights", {}),
    Row("prune.channels", {"samples": SAMPLES}, large=False),
    Row("prune.layers", {"samples": SAMPLES}, large=False),
    Row("prune.unstructured", {}),
    Row("prune.semi-structured", {}),
    Row("factorize.low-rank", {"samples": SAMPLES, "time_check": False}, large=False),
    Row("factorize.cluster", {}),
)


def slim(source: Path, target: Path) -> None:
    """Clean up with onnxslim."""
    import onnxslim

    onnxslim.slim(str(source), str(target))


def script(source: Path, target: Path) -> None:
    """Clean up with the optimizer of onnxscript."""
    import onnx
    import onnxscript.optimizer

    onnx.save(onnxscript.optimizer.optimize(onnx.load(str(source))), str(target))


def engine(source: Path, target: Path) -> None:
    """Fuse with ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


def extractor(source: Path, target: Path) -> None:
    """Extract with onnx."""
    import onnx.utils

    model = onnx.utils.Extractor(onnx.load(str(source))).extract_model(["x"], ["b3_y"])
    onnx.save(model, str(target))


def converter(source: Path, target: Path) -> None:
    """Convert with onnx."""
    import onnx.version_converter

    onnx.save(onnx.version_converter.convert_version(onnx.load(str(source)), 21), str(target))


def static(source: Path, target: Path) -> None:
    """Quantize with ONNX Runtime, ranges from generated samples."""
    import numpy as np
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        left = SAMPLES

        def get_next(self) -> dict[str, Any] | None:
            self.left -= 1
            return (
                {"x": np.random.default_rng(self.left).normal(size=(1, 8, 8, 8)).astype(np.float32)}
                if self.left >= 0
                else None
            )

    quantize_static(source, target, Reader())


def dynamic(source: Path, target: Path) -> None:
    """Quantize the weights with ONNX Runtime."""
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(source, target, use_external_data_format=source.stat().st_size < 1 << 20)


def half(source: Path, target: Path) -> None:
    """Convert with the transformers' tool of ONNX Runtime."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(str(source))), str(target), save_as_external_data=True)


PEERS: dict[str, Callable[[Path, Path], None]] = {
    "onnxslim": slim,
    "onnxscript.optimizer": script,
    "onnxruntime": engine,
    "onnx.utils.Extractor": extractor,
    "onnx.version_converter": converter,
    "quantize_static": static,
    "quantize_dynamic": dynamic,
    "float16": half,
}


def main() -> None:
    """Run the rows and print a line for each as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[100, 1000, 10000], help="numbers of nodes")
    parser.add_argument("--large", type=float, default=0.0, metavar="GB", help="also a model of so many gigabytes")
    parser.add_argument("--only", default="", help="part of a pass's id")
    parser.add_argument("--alone", action="store_true", help="leave the libraries called directly out")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(_child(**json.loads(chosen.child))))
        return
    rows = [row for row in ROWS if chosen.only in row.pass_id]
    if chosen.alone:
        rows = [replace(row, peer="") for row in rows]
    with tempfile.TemporaryDirectory(prefix="burnish-bench-") as folder:
        _measure(rows, chosen.sizes, chosen.large, Path(folder))


def _measure(rows: list[Row], sizes: list[int], gigabytes: float, folder: Path) -> None:
    from tests.bench.workloads import large_model, nodes_model

    print(f"{'model':>12}  {'what':<44} {'seconds':>8} {'CPU s':>8} {'peak MB':>8} {'over base':>9}  result")
    models = {f"{size:,} nodes": nodes_model(folder / f"n{size}.onnx", size) for size in sizes}
    if gigabytes:
        models[f"{gigabytes:g} GB"] = large_model(folder / "large.onnx", gigabytes)
    for name, path in models.items():
        large = name.endswith("GB")
        done: set[str] = set()
        for row in rows:
            if large and not row.large:
                continue
            label = f"{row.pass_id} {' '.join(f'{key}={value}' for key, value in row.params.items())}".strip()
            if label not in done:
                _print(
                    name, label, _run({"kind": "pass", "name": row.pass_id, "params": row.params, "model": str(path)})
                )
                done.add(label)
            if row.peer:
                _print(
                    name, f"  {row.peer}", _run({"kind": "peer", "name": row.peer, "params": {}, "model": str(path)})
                )


def _run(job: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.passes", "--child", json.dumps(job)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE, cwd=ROOT)
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {PATIENCE} s"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1][:160]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _print(model: str, label: str, found: dict[str, Any]) -> None:
    if "error" in found:
        print(f"{model:>12}  {label:<44} {found['error']}", flush=True)
        return
    over = (found["peak"] - found["base"]) / 1e6
    figures = f"{found['seconds']:8.2f} {found['busy']:8.2f} {found['peak'] / 1e6:8.0f} {over:9.0f}"
    print(f"{model:>12}  {label:<44} {figures}  {found['nodes']:,} nodes", flush=True)


def _child(kind: str, name: str, params: dict[str, Any], model: str) -> dict[str, Any]:
    """Run one pass or library on one model; imports are not timed, and their memory is the base.

    Seconds of the processor are given beside those of the clock: other programs disturb them less.
    """
    from studio.core.memory_usage import peak_bytes

    with tempfile.TemporaryDirectory(prefix="burnish-bench-") as folder:
        work = _prepare(kind, name, params, Path(model), Path(folder))
        base = peak_bytes()
        started, busy = time.perf_counter(), time.process_time()
        path = work()
        seconds, busy = time.perf_counter() - started, time.process_time() - busy
        from studio.core.signature import read_signature

        return {
            "seconds": seconds,
            "busy": busy,
            "peak": peak_bytes(),
            "base": base,
            "nodes": read_signature(path).nodes,
        }


def _prepare(kind: str, name: str, params: dict[str, Any], model: Path, folder: Path) -> Callable[[], Path]:
    import onnx
    import onnx_ir

    from studio.api import Engine, PassContext, open_artifact
    from studio.core.params import parse_params
    from studio.core.verify import order_places
    from studio.jobs.tasks.surroundings import data_for, find_places
    from studio.locations import load_registry

    assert onnx and onnx_ir
    if kind == "peer":
        target = folder / "peer.onnx"

        def call() -> Path:
            PEERS[name](model, target)
            return target

        return call
    registry = load_registry()
    one, artifact = registry.get_pass(name), open_artifact(model)
    values = parse_params(one.Params, params)
    places = order_places(find_places(registry), None)
    context = PassContext(
        workdir=folder,
        calibration=data_for(registry, artifact, None) if one.needs_for(values) else None,
        engine=Engine(places, Path(tempfile.mkdtemp(dir=folder))),
    )
    return lambda: one.apply(artifact, values, context).artifact.path


if __name__ == "__main__":
    main()
