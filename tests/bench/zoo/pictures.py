"""Photographs from packages and folders, split by picture so that no crop of a calibration picture is evaluated on."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PACKAGES = {"skimage": "data", "sklearn": "datasets/images", "gradio": "media_assets/images"}
#: pictures with fewer pixels a side are icons, not photographs
SMALLEST = 200


def find_pictures(folders: Sequence[Path]) -> list[Path]:
    """List the pictures of some folders and of the packages that are installed, by content, each once."""
    roots = [*folders]
    for package, inner in PACKAGES.items():
        found = importlib.util.find_spec(package)
        if found is not None and found.origin:
            roots.append(Path(found.origin).parent / inner)
    paths: dict[str, Path] = {}
    for root in roots:
        for path in sorted(root.rglob("*")):
            if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp") and path.is_file():
                paths.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), path)
    return [path for _, path in sorted(paths.items()) if _is_photograph(path)]


def crops(path: Path, size: int, count: int, random: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """Cut `count` random squares out of a picture: ``(size, size, 3)``; a quarter to all of its shorter side."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    image.thumbnail((1024, 1024))
    short = min(image.size)
    for index in range(count):
        side = short if index == 0 else int(short * random.uniform(0.6, 1.0))
        left = int(random.integers(0, image.width - side + 1))
        top = int(random.integers(0, image.height - side + 1))
        cut = image.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.BICUBIC)
        array = np.asarray(cut)
        yield array[:, ::-1] if random.random() < 0.5 else array


def split_crops(folders: Sequence[Path], size: int, each: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Give crops to calibrate with and crops of other pictures to evaluate with: uint8 ``(n, size, size, 3)``."""
    paths = find_pictures(folders)
    if len(paths) < 20:
        raise SystemExit(f"Only {len(paths)} photographs were found: name folders with more (--pictures FOLDER).")
    random = np.random.default_rng(0)
    halves: tuple[list[Any], list[Any]] = ([], [])
    for index, path in enumerate(paths):
        halves[index % 2].extend(crops(path, size, each, random))
    calibration, evaluation = (np.stack(half)[random.permutation(len(half))] for half in halves)
    return calibration, evaluation


def _is_photograph(path: Path) -> bool:
    try:
        with Image.open(path) as opened:
            return min(opened.size) >= SMALLEST and len(set(opened.convert("RGB").resize((16, 16)).getdata())) > 64
    except OSError:
        return False
