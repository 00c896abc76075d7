"""Telling folders of boxes, of masks and of plain files apart by their listing."""

from __future__ import annotations

from pathlib import Path

IMAGES, MASKS = "images", "masks"


def folders(path: Path) -> list[Path]:
    """List the sub-folders by name, hidden ones aside."""
    return sorted(item for item in path.iterdir() if item.is_dir() and not item.name.startswith("."))


def has_masks(path: Path) -> bool:
    """Say whether a folder holds ``images`` and ``masks``."""
    return (path / IMAGES).is_dir() and (path / MASKS).is_dir()


def coco_file(path: Path) -> Path | None:
    """Find the COCO annotations of a folder: ``annotations.json``, or the only ``instances*.json`` in it."""
    for folder in (path, path / "annotations"):
        if (folder / "annotations.json").is_file():
            return folder / "annotations.json"
        found = sorted(folder.glob("instances*.json")) if folder.is_dir() else []
        if len(found) == 1:
            return found[0]
    return None
