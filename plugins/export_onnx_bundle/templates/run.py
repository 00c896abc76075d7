"""Run the model of this bundle: python run.py [INPUT.npz|INPUT.npy|PICTURE] [--out OUTPUT.npz] [--threads N].

Without an input it runs the first golden sample. Needs only what requirements.txt lists.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

HERE = Path(__file__).resolve().parent


def load_session(threads: int | None = None) -> ort.InferenceSession:
    """Open the model on the CPU."""
    options = ort.SessionOptions()
    if threads:
        options.intra_op_num_threads = threads
    return ort.InferenceSession(str(HERE / "model.onnx"), options, providers=["CPUExecutionProvider"])


def golden(index: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Give the inputs and expected outputs of a golden sample, names restored."""
    names = json.loads((HERE / "MANIFEST.json").read_text(encoding="utf-8"))["goldens"]["arrays"]
    feeds: dict[str, np.ndarray] = {}
    expected: dict[str, np.ndarray] = {}
    with np.load(HERE / "goldens.npz", allow_pickle=False) as arrays:
        for key, (sample, kind, name) in names.items():
            if sample == index:
                (feeds if kind == "input" else expected)[name] = restore(arrays[key], kind, name)
    return feeds, expected


def restore(array: np.ndarray, kind: str, name: str) -> np.ndarray:
    """Give strings back as objects: numpy files keep them as fixed-width text."""
    return array.astype(object) if array.dtype.kind == "U" else array


def read_picture(path: Path, session: ort.InferenceSession) -> dict[str, np.ndarray]:
    """Read a picture as the model was measured with, for its only input; a fixed batch is filled with it."""
    manifest = json.loads((HERE / "MANIFEST.json").read_text(encoding="utf-8"))
    how = manifest["preprocessing"]
    if how is None:
        sys.exit("The bundle does not say how pictures are prepared; give an .npz with the inputs.")
    import pixels  # type: ignore[import-not-found] # beside this file in the bundle

    info = manifest["inputs"][0]
    shape = info["shape"]
    if len(session.get_inputs()) != 1 or len(shape) not in (3, 4):
        sys.exit("The model takes no picture; give an .npz with the inputs.")
    rest = shape[-3:]
    first = rest[0] in (1, 3) if how["layout"] == "auto" else how["layout"] == "nchw"
    channels, height, width = rest if first else (rest[2], rest[0], rest[1])
    channels, height, width = (
        size if isinstance(size, int) else default for size, default in ((channels, 3), (height, 224), (width, 224))
    )
    try:
        sample = pixels.read_picture(path, how, channels, height, width, first=first, dtype=info["dtype"])
    except pixels.PictureError as error:
        sys.exit(" ".join(error.args))
    given = sample.astype(info["dtype"], copy=False)
    if len(shape) == 4:
        given = np.repeat(given[None], shape[0] if isinstance(shape[0], int) else 1, axis=0)
    return {info["name"]: given}


def is_picture(path: Path) -> bool:
    """Say whether a file is a picture by its ending."""
    return path.suffix.lower() not in (".npz", ".npy")


def read_inputs(path: Path, session: ort.InferenceSession) -> dict[str, np.ndarray]:
    """Read arrays or a picture for the model's inputs; a model with one input takes any array."""
    if is_picture(path):
        return read_picture(path, session)
    wanted = [item.name for item in session.get_inputs()]
    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        given = {wanted[0]: loaded}
    else:
        with loaded:
            given = {name: loaded[name] for name in loaded.files}
    if len(wanted) == 1 and wanted[0] not in given and len(given) == 1:
        given = {wanted[0]: next(iter(given.values()))}
    missing = [name for name in wanted if name not in given]
    if missing:
        sys.exit(f"{path} has no array named {missing[0]!r}; it has {', '.join(given)}.")
    return {name: given[name] for name in wanted}


def describe(name: str, array: np.ndarray) -> str:
    """Say what an output holds, in one line."""
    text = f"{name}: {array.dtype} {list(array.shape)}"
    if array.ndim == 2 and array.shape[1] > 1 and array.dtype.kind == "f":
        best = np.argsort(-array[0])[:5]
        return text + "  top: " + ", ".join(f"{i} ({array[0, i]:.4g})" for i in best)
    flat = array.reshape(-1)[:6]
    return text + "  " + " ".join(str(value) for value in flat)


def main() -> int:
    """Run as a script."""
    parser = argparse.ArgumentParser(description="Run the model of this bundle.")
    parser.add_argument("input", nargs="?", type=Path, help="an .npz or .npy with the inputs, or a picture")
    parser.add_argument("--out", type=Path, help="write the outputs to this .npz")
    parser.add_argument("--threads", type=int, help="threads for one inference")
    parser.add_argument("--repeat", type=int, default=0, help="also time this many inferences")
    chosen = parser.parse_args()
    session = load_session(chosen.threads)
    if chosen.input is not None and not chosen.input.is_file():
        sys.exit(f"There is no file {chosen.input}.")
    feeds = read_inputs(chosen.input, session) if chosen.input else golden(0)[0]
    names = [item.name for item in session.get_outputs()]
    outputs = dict(zip(names, session.run(names, feeds), strict=True))
    for name, array in outputs.items():
        print(describe(name, np.asarray(array)))
    if chosen.repeat:
        times = []
        for _ in range(chosen.repeat):
            started = time.perf_counter()
            session.run(names, feeds)
            times.append(time.perf_counter() - started)
        print(f"median latency: {np.median(times) * 1000:.3f} ms over {chosen.repeat} inferences")
    if chosen.out:
        np.savez(chosen.out, **outputs)
        print(f"wrote {chosen.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
