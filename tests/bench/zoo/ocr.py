"""The PP-OCRv4 text detector that the package rapidocr-onnxruntime ships, and pages of printed text to run it on."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tests.bench.zoo.export import save
from tests.bench.zoo.pictures import split_crops
from tests.bench.zoo.sentences import sentences

NAME = "ppocr-det"
SIZE = 320
PAGES = 96
MEAN, SPREAD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)


def make(folder: Path, pictures: Sequence[Path]) -> None:
    """Copy the model; draw sentences over photographs and over paper."""
    found = find_spec("rapidocr_onnxruntime")
    if found is None or not found.origin:
        raise SystemExit("Install rapidocr-onnxruntime.")
    shutil.copy(Path(found.origin).parent / "models" / "ch_PP-OCRv4_det_infer.onnx", folder / f"{NAME}.onnx")
    texts = sentences()
    random = np.random.default_rng(0)
    for index, (half, crops) in enumerate(zip(("calibration", "eval"), split_crops(pictures, SIZE, 2), strict=True)):
        pages = np.stack([_page(crop, texts[index::2], random) for crop in crops[:PAGES]]).astype(np.float32)
        save(folder, NAME, half, x=((pages / 255 - MEAN) / SPREAD).transpose(0, 3, 1, 2).astype(np.float32))


def _page(background: NDArray[np.uint8], texts: Sequence[str], random: np.random.Generator) -> NDArray[Any]:
    paper = Image.fromarray(np.ascontiguousarray(background))
    if random.random() < 0.6:
        paper = Image.new("RGB", paper.size, tuple(int(value) for value in random.integers(200, 256, 3)))
    draw = ImageDraw.Draw(paper)
    top = int(random.integers(4, 40))
    while top < SIZE - 20:
        height = int(random.integers(10, 32))
        words = texts[int(random.integers(len(texts)))].split()
        line = " ".join(words[: int(random.integers(1, 8))])
        ink = tuple(int(value) for value in random.integers(0, 120, 3))
        draw.text((int(random.integers(2, 120)), top), line, fill=ink, font=ImageFont.load_default(height))
        top += int(height * random.uniform(1.2, 3.5))
    return np.asarray(paper)
