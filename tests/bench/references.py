"""Clean median latency beside the references: OpenVINO's benchmark_app, and both engines called directly.

    python -m tests.bench.references MODEL.onnx ...            three rows for each model
    python -m tests.bench.references MODEL.onnx --threads 2 --rounds 9 --seconds 2 --dim batch=1

Every row is a ratio of medians (reference over Burnish: above 1, Burnish measured less) with a 95 % interval,
then the ratio of the least latencies, which tells most where other programs keep the machine busy:

- "in pairs": Burnish's call and the engine's own, both loaded in one process, timed in turns, less the time in
  which other programs had the processor;
- "benchmark_app": Burnish's worker and benchmark_app, each a process of its own in every round, in random
  order. Processes differ by where their memory lies and by what the machine does meanwhile: give rounds.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from studio.api import Artifact, Device, RunOptions, open_artifact
from studio.core.bootstrap import resample
from studio.core.pairs import TimingOptions, measure_alone, measure_pair
from studio.core.report import SilentReporter
from studio.core.runqueue import waited_ns
from studio.core.statistics import compare
from studio.jobs.tasks.feeding import Feeds, feed
from studio.jobs.tasks.surroundings import find_place
from studio.locations import load_registry

ROOT = Path(__file__).parents[2]
ENGINES = ("onnxruntime", "openvino")
#: the bar: a larger difference from the references is a fault to be found
BAR = 0.03
_MEDIAN = re.compile(r"Median:\s+([\d.]+) ms")
_LEAST = re.compile(r"Min:\s+([\d.]+) ms")


def main() -> None:
    """Print a line for each model and reference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7, help="processes of either kind beside benchmark_app")
    parser.add_argument("--seconds", type=float, default=2.0, help="measured in each process")
    parser.add_argument("--dim", action="append", default=[], metavar="NAME=SIZE")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    dims = {name: int(size) for name, _, size in (text.partition("=") for text in chosen.dim)}
    if chosen.child:
        task, _, engine = chosen.child.partition(":")
        print(json.dumps(CHILDREN[task](chosen.models[0], engine, chosen.threads, chosen.seconds, dims)))
        return
    print(f"{'model':<28} {'reference':<28} {'Burnish':>9} {'reference':>9}  ratio                least")
    for model in chosen.models:
        for engine in ENGINES:
            found = _child(f"pairs:{engine}", model, chosen)
            _line(model, f"{engine}, in pairs", found["ours"], found["theirs"], found["ratio"], found["least"])
        _beside_benchmark_app(model, chosen)


def _beside_benchmark_app(model: Path, chosen: argparse.Namespace) -> None:
    shapes = _child("shapes:openvino", model, chosen)
    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    order = random.Random(0)
    for _ in range(chosen.rounds):
        for which in order.sample(("ours", "theirs"), 2):
            if which == "ours":
                found = _child("alone:openvino", model, chosen)
                ours.append((found["median"], found["least"]))
            else:
                theirs.append(benchmark_app(model, shapes, chosen.threads, chosen.seconds))
    figures = np.asarray([ours, theirs])
    logs = np.log(figures[1, :, 0] / figures[0, :, 0])
    medians = resample(logs, lambda rows: np.median(rows, axis=1), seed=0)
    ratio = [float(np.exp(value)) for value in (np.median(logs), *np.percentile(medians, (2.5, 97.5)))]
    medians_ms, least = np.median(figures[:, :, 0], axis=1), figures[:, :, 1].min(axis=1)
    label = f"benchmark_app, {chosen.rounds} rounds"
    _line(model, label, float(medians_ms[0]), float(medians_ms[1]), ratio, float(least[1] / least[0]))


def benchmark_app(model: Path, shapes: Mapping[str, Any], threads: int, seconds: float) -> tuple[float, float]:
    """Run OpenVINO's tool with the same options; gives its median and its least latency in milliseconds."""
    shape = ",".join(f"{name}[{','.join(map(str, found['shape']))}]" for name, found in shapes.items())
    command = [str(Path(sys.executable).parent / "benchmark_app"), "-m", str(model), "-d", "CPU"]
    # It takes numbers of streams and threads without a hint only; one stream is what the hint "latency" means.
    command += ["-hint", "none", "-nstreams", "1", "-nthreads", str(threads)]
    command += ["-nireq", "1", "-api", "sync", "-t", str(max(1, round(seconds))), "-shape", shape]
    if all(found["dtype"] == "float32" for found in shapes.values()):
        # It would feed pictures as bytes and convert them in the model.
        command += ["-ip", "f32"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found, least = _MEDIAN.search(done.stdout), _LEAST.search(done.stdout)
    if found is None or least is None:
        sys.exit(f"benchmark_app gave no median for {model.name}:\n{done.stdout[-600:]}{done.stderr[-600:]}")
    return float(found[1]), float(least[1])


def _child(task: str, model: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.references", str(model), "--child", task]
    command += ["--threads", str(chosen.threads), "--seconds", str(chosen.seconds)]
    command += [part for text in chosen.dim for part in ("--dim", text)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        sys.exit(f"{model.name}, {task}: {done.stderr[-800:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _load(model: Path, engine: str, threads: int, dims: Mapping[str, int]) -> tuple[Any, Artifact, Device, Feeds]:
    registry = load_registry()
    artifact = open_artifact(model)
    place = find_place(registry, f"{engine}:CPU")
    return place.runtime, artifact, place.device, feed(registry, artifact, None, 1, dims, 0)


def _options(threads: int) -> RunOptions:
    # "engine": benchmark_app lets OpenVINO choose the precision
    return RunOptions(threads=threads, streams=1, precision="engine")


def _alone(model: Path, engine: str, threads: int, seconds: float, dims: Mapping[str, int]) -> dict[str, Any]:
    runtime, artifact, device, feeds = _load(model, engine, threads, dims)
    with runtime.load(artifact, device, _options(threads)) as loaded:
        found = measure_alone(loaded.bind(feeds.arrays), TimingOptions(seconds=seconds), SilentReporter())
    samples = found.model.samples_ns
    return {"median": statistics.median(samples) / 1e6, "least": min(samples) / 1e6}


def _shapes(model: Path, engine: str, threads: int, seconds: float, dims: Mapping[str, int]) -> dict[str, Any]:
    feeds = _load(model, engine, threads, dims)[3]
    return {name: {"shape": list(array.shape), "dtype": array.dtype.name} for name, array in feeds.arrays.items()}


def _pairs(model: Path, engine: str, threads: int, seconds: float, dims: Mapping[str, int]) -> dict[str, Any]:
    runtime, artifact, device, feeds = _load(model, engine, threads, dims)
    direct = DIRECT[engine](artifact.path, threads, feeds.arrays)
    with runtime.load(artifact, device, _options(threads)) as loaded:
        options = TimingOptions(seconds=3 * seconds)
        found = measure_pair(direct, loaded.bind(feeds.arrays), options, SilentReporter(), clock=_own_time)
    estimate = compare(found.baseline.samples_ns, found.variant.samples_ns)
    return {
        "ours": statistics.median(found.variant.samples_ns) / 1e6,
        "theirs": statistics.median(found.baseline.samples_ns) / 1e6,
        "ratio": [estimate.ratio, estimate.low, estimate.high],
        "least": min(found.baseline.samples_ns) / min(found.variant.samples_ns),
    }


def _own_time() -> int:
    """Nanoseconds now, less what other programs took of the processor from this thread."""
    return time.perf_counter_ns() - (waited_ns() or 0)


def _onnxruntime(path: Path, threads: int, feeds: Mapping[str, Any]) -> Callable[[], Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    given = dict(feeds)
    return lambda: session.run(None, given)


def _openvino(path: Path, threads: int, feeds: Mapping[str, Any]) -> Callable[[], Any]:
    import openvino

    core = openvino.Core()
    model = core.read_model(str(path))
    model.reshape({port: openvino.PartialShape(list(feeds[port.any_name].shape)) for port in model.inputs})
    wanted = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    request = core.compile_model(model, "CPU", wanted).create_infer_request()
    for name, array in feeds.items():
        request.set_tensor(name, openvino.Tensor(np.ascontiguousarray(array)))
    return lambda: request.infer()


def _line(model: Path, reference: str, ours: float, theirs: float, ratio: Sequence[float], least: float) -> None:
    middle, low, high = ratio
    verdict = "" if abs(middle - 1) <= BAR else f"  beyond {BAR:.0%}"
    figures = f"{ours:9.3f} {theirs:9.3f}  {middle:.3f} ({low:.3f}-{high:.3f})  {least:.3f}"
    print(f"{model.name:<28} {reference:<28} {figures}{verdict}", flush=True)


DIRECT = {"onnxruntime": _onnxruntime, "openvino": _openvino}
CHILDREN = {"pairs": _pairs, "alone": _alone, "shapes": _shapes}


if __name__ == "__main__":
    main()
