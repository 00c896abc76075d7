"""Makes the variants, measures all of them in pairs with the original, and prints the table as Markdown."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from tests.bench.table.runs import ROOT, Made, burnish, ours, peak_of_children, theirs
from tests.bench.table.subjects import SUBJECTS, Subject

PEERS = {"ONNX Runtime static": "static", "ONNX Runtime dynamic": "dynamic", "NNCF": "nncf"}
DEVICES = ("onnxruntime:CPU", "openvino:CPU")
SAMPLES = ROOT / "assets" / "samples"


def main() -> None:
    """Make the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--peers", type=Path, help="interpreter with onnxruntime and nncf; without it only Burnish")
    parser.add_argument("--only", nargs="*", help="names of models")
    parser.add_argument("--devices", nargs="*", default=DEVICES)
    parser.add_argument("--seconds", type=float, default=8.0, help="for a pair")
    options = parser.parse_args()
    for subject in SUBJECTS:
        if not options.only or subject.name in options.only:
            for line in rows(subject, options):
                print(line, flush=True)


def rows(subject: Subject, options: Any) -> Iterator[str]:
    """Give the lines of one model's table."""
    folder = SAMPLES if subject.name == "mnist-resnet" else options.zoo
    model = folder / f"{subject.name}.onnx"
    calibration = folder / ("mnist-calibration.npz" if folder == SAMPLES else f"{subject.name}-calibration.npz")
    held_out = folder / ("mnist-eval.npz" if folder == SAMPLES else f"{subject.name}-eval.npz")
    out = options.out / subject.name
    out.mkdir(parents=True, exist_ok=True)
    made = list(variants(subject, model, calibration, out, options.peers))
    good = [item for item in made if not item.failure]
    speed = ratios(model, good, options.devices, options.seconds)
    peak = f"largest process {peak_of_children() / 1e9:.1f} GB"
    yield f"\n**{subject.name}**, one thread, batch 1, {date.today()}; {peak}\n"
    yield f"| variant | size MB | seconds | {subject.metric} | {' | '.join(options.devices)} |"
    yield "|---|" + "---|" * (3 + len(options.devices))
    for item in made:
        if item.failure:
            yield f"| {item.name} | failed: {item.failure} |" + " |" * (2 + len(options.devices))
            continue
        fidelity = [judged(item.path, model, held_out, subject.metric, device) for device in options.devices]
        shown = " / ".join(fidelity) if len(set(fidelity)) > 1 else fidelity[0]
        times = " | ".join(speed.get((item.path.name, device), "refused") for device in options.devices)
        yield f"| {item.name} | {item.path.stat().st_size / 1e6:.2f} | {item.seconds:.0f} | {shown} | {times} |"


def variants(subject: Subject, model: Path, calibration: Path, out: Path, python: Path | None) -> Iterator[Made]:
    """Make the variants, ours first."""
    for number, (name, steps) in enumerate(subject.recipes.items()):
        yield ours(name, model, calibration, out / f"ours-{number}.onnx", steps)
    for name, recipe in PEERS.items() if python else ():
        assert python is not None
        yield theirs(name, python, recipe, model, calibration, out / f"{recipe}.onnx")


def ratios(model: Path, made: Sequence[Made], devices: Sequence[str], seconds: float) -> dict[tuple[str, str], str]:
    """Measure all variants on all devices, each in pairs with the original: file and device to the ratio."""
    chosen = [word for device in devices for word in ("--device", device)]
    paths = [item.path for item in made]
    document = burnish("bench", model, *paths, *chosen, "--threads", "1", "--seconds", str(seconds))
    return {
        (pair["model"], pair["device"]): f"{pair['ratio']:.2f}x ({pair['low']:.2f}-{pair['high']:.2f})"
        for pair in document["pairs"]
    }


def judged(path: Path, model: Path, data: Path, metric: str, device: str) -> str:
    """Evaluate a variant on held-out data on a device; against the original where the metric compares."""
    try:
        found = burnish("evaluate", path, "--baseline", model, "--data", data, "--metric", metric, "--device", device)
    except RuntimeError as error:
        return f"failed: {error}"
    row = next(row for row in found["evaluations"] if row["model"] != model.name)
    change = f" ({100 * row['delta']:+.1f} pp)" if row["delta"] is not None and metric == "top1" else ""
    return f"{row['value']:.3f}{change}"


if __name__ == "__main__":
    main()
