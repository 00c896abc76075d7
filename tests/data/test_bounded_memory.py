"""A folder of pictures that is far larger unpacked than memory is allowed to grow evaluates all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
#: pixels of a picture: 27 MB unpacked as colour
SIDE, PICTURES = 3000, 24
#: bytes of address space that may come on top of what the imports take
ROOM = 160_000_000
WORKER = """
import resource, sys
from pathlib import Path
import numpy as np
from PIL import Image, ImageOps, PngImagePlugin
from studio.core.dataset import Batch
from studio.core.datasets import open_dataset
from studio.core.evaluate import Candidate, evaluate
from studio.core.preprocessing import PRESETS
from studio.core.registry import scan
from studio.core.report import SilentReporter
from studio.core.runtime import LoadedModel, TensorInfo
from studio.core.source import Source

class Brightness(LoadedModel):
    inputs = (TensorInfo(name="image", dtype="float32", shape=("batch", 3, 64, 64)),)
    outputs = (TensorInfo(name="scores", dtype="float32", shape=("batch", 2)),)
    def run(self, feeds):
        mean = feeds["image"].mean(axis=(1, 2, 3))
        return {"scores": np.stack([-mean, mean], axis=1)}
    def bind(self, feeds):
        raise NotImplementedError

registry = scan(Path("plugins"))
readers = registry.readers()
metrics = [registry.get_metric("top1"), registry.get_metric("f1")]
import scipy.special
used = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[2]),) * 2)
folder = Path(sys.argv[1])
data = open_dataset(folder, Brightness.inputs, readers, Source(path=folder, preprocess=PRESETS["imagenet"]))
found = evaluate([Candidate(Brightness(), "0" * 64, "m", "d")], data, metrics, SilentReporter(), batch=8)
print(found[0].estimate.value, found[0].estimate.samples)
"""


def test_pictures_evaluate_in_bounded_memory(tmp_path: Path) -> None:
    for name, shade in (("dark", 0), ("light", 255)):
        folder = tmp_path / "set" / name
        folder.mkdir(parents=True)
        Image.fromarray(np.full((SIDE, SIDE, 3), shade, np.uint8)).save(folder / "0.png", compress_level=1)
        for index in range(1, PICTURES // 2):
            os.link(folder / "0.png", folder / f"{index}.png")
    assert PICTURES * SIDE * SIDE * 3 > 4 * ROOM
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", WORKER, str(tmp_path / "set"), str(ROOM)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.split() == ["1.0", str(PICTURES)], done.stderr
