"""Makes the zoo: ``python -m tests.bench.zoo FOLDER``."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

MODELS = ("efficientnet", "minilm", "ocr", "vit", "tagger")


def main() -> None:
    """Make the models that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", choices=MODELS, default=MODELS)
    parser.add_argument("--pictures", nargs="*", type=Path, default=[], help="folders of photographs")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        print(f"making {name}", flush=True)
        importlib.import_module(f"tests.bench.zoo.{name}").make(options.folder, options.pictures)


if __name__ == "__main__":
    main()
