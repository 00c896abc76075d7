"""Check this bundle on the machine it was copied to: python verify.py [--runs N] [--json].

Re-checks every file's sha256, the outputs for the golden inputs, and the latency. Exit status 0 when
files and outputs are right, 1 otherwise; latency is reported beside what was measured where the
bundle was made, and never fails: another machine has another speed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from run import golden, load_session

HERE = Path(__file__).resolve().parent
WARMUP = 10


def check_files(manifest: dict[str, Any]) -> list[str]:
    """List files that are missing or changed."""
    wrong = []
    for name, entry in manifest["files"].items():
        path = HERE / name
        if not path.is_file():
            wrong.append(f"{name} is missing")
        elif digest(path) != entry["sha256"]:
            wrong.append(f"{name} was changed or damaged")
    return wrong


def digest(path: Path) -> str:
    """Give a file's sha256."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_outputs(manifest: dict[str, Any], session: Any) -> tuple[list[str], float, float]:
    """Run the goldens; give what is wrong, the largest error and the SQNR in dB."""
    wrong: list[str] = []
    names = [item.name for item in session.get_outputs()]
    largest, signal, noise = 0.0, 0.0, 0.0
    for index in range(manifest["goldens"]["samples"]):
        feeds, expected = golden(index)
        outputs = dict(zip(names, session.run(names, feeds), strict=True))
        for name, reference in expected.items():
            got = np.asarray(outputs[name])
            if got.shape != reference.shape:
                wrong.append(f"sample {index}: {name} has shape {got.shape}, not {reference.shape}")
            elif reference.dtype.kind == "f":
                gap = np.nan_to_num(got.astype(np.float64) - reference)
                largest = max(largest, float(np.abs(gap).max(initial=0.0)))
                signal += float(np.square(np.nan_to_num(reference.astype(np.float64))).sum())
                noise += float(np.square(gap).sum())
            elif not np.array_equal(got, reference):
                wrong.append(f"sample {index}: {name} differs")
    sqnr = 10 * math.log10(signal / noise) if noise > 0 and signal > 0 else math.inf
    floor = manifest["goldens"]["minimum_sqnr_db"]
    if sqnr < floor:
        wrong.append(f"the outputs differ too much: SQNR {sqnr:.1f} dB, at least {floor} dB wanted")
    return wrong, largest, sqnr


def time_model(session: Any, runs: int) -> float:
    """Give the median latency in milliseconds on the first golden input."""
    feeds, _ = golden(0)
    times = []
    for index in range(WARMUP + runs):
        started = time.perf_counter()
        session.run(None, feeds)
        if index >= WARMUP:
            times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1000


def main() -> int:
    """Run as a script."""
    parser = argparse.ArgumentParser(description="Check this bundle on this machine.")
    parser.add_argument("--runs", type=int, default=100, help="inferences to time")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    chosen = parser.parse_args()
    manifest = json.loads((HERE / "MANIFEST.json").read_text(encoding="utf-8"))
    wrong = check_files(manifest)
    report: dict[str, Any] = {"files": len(manifest["files"]), "problems": wrong}
    if not wrong:
        session = load_session()
        problems, largest, sqnr = check_outputs(manifest, session)
        wrong.extend(problems)
        report["max_abs_error"] = largest
        report["sqnr_db"] = None if math.isinf(sqnr) else round(sqnr, 2)
        report["latency_ms"] = round(time_model(session, max(1, chosen.runs)), 4)
        report["latency_ms_where_made"] = manifest["latency_ms"]
    report["ok"] = not wrong
    if chosen.json:
        print(json.dumps(report, indent=2))
    else:
        show(report)
    return 0 if report["ok"] else 1


def show(report: dict[str, Any]) -> None:
    """Print the report for people."""
    for problem in report["problems"]:
        print(f"WRONG  {problem}")
    if "latency_ms" in report:
        sqnr = "identical" if report["sqnr_db"] is None else f"SQNR {report['sqnr_db']} dB"
        print(f"outputs  {sqnr}, largest error {report['max_abs_error']:.3g}")
        made = report["latency_ms_where_made"]
        beside = f" (where the bundle was made: {made:.3f} ms)" if made else ""
        print(f"latency  {report['latency_ms']:.3f} ms median{beside}")
    print(f"{'OK' if report['ok'] else 'FAILED'}  {report['files']} files checked")


if __name__ == "__main__":
    raise SystemExit(main())
