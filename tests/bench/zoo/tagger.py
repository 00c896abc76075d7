"""A bidirectional LSTM that tags the characters of Python source, trained here on the standard library.

Its classes are those of the language's own tokenizer: keyword, name, number, string, comment, operator, white space.
"""

from __future__ import annotations

import io
import keyword
import sysconfig
import tokenize
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.bench.zoo.export import export, save

NAME = "tagger"
LENGTH, HIDDEN, EMBEDDED = 64, 192, 48
STEPS = 500
KINDS = {tokenize.NUMBER: 2, tokenize.STRING: 3, tokenize.COMMENT: 4, tokenize.OP: 5}
KEYWORD, NAME_KIND, SPACE = 0, 1, 6


def make(folder: Path, pictures: Sequence[Path]) -> None:
    """Train it, and write it with windows of other modules to evaluate on."""
    import torch

    paths = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    training, held_out = windows(paths[::2]), windows(paths[1::2])
    torch.manual_seed(0)
    model = network()
    train(model, *(torch.from_numpy(array) for array in training))
    random = np.random.default_rng(1)
    chosen, other = random.permutation(len(training[0]))[:512], random.permutation(len(held_out[0]))[:512]
    save(folder, NAME, "calibration", characters=training[0][chosen])
    save(folder, NAME, "eval", characters=held_out[0][other])
    np.save(folder / f"{NAME}-eval-tags.npy", held_out[1][other])
    export(model, folder / f"{NAME}.onnx", {"characters": training[0][:1]}, ["logits"])


def windows(paths: Sequence[Path]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut modules into windows: characters (below 128) and their classes, ``(n, LENGTH)``."""
    characters, classes = [], []
    for path in paths:
        text = path.read_text(encoding="utf-8", errors="ignore")
        if not text.isascii():
            continue
        tags = tag(text)
        count = len(text) // LENGTH
        characters.append(np.frombuffer(text.encode(), np.uint8)[: count * LENGTH].reshape(count, LENGTH))
        classes.append(tags[: count * LENGTH].reshape(count, LENGTH))
    return np.concatenate(characters).astype(np.int64), np.concatenate(classes)


def tag(text: str) -> NDArray[np.int64]:
    """Give the class of each character."""
    starts = np.concatenate([[0], np.cumsum([len(line) for line in text.splitlines(keepends=True)])])
    tags = np.full(len(text), SPACE, np.int64)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = KINDS.get(token.type)
        if token.type == tokenize.NAME:
            kind = KEYWORD if keyword.iskeyword(token.string) else NAME_KIND
        if kind is not None:
            begin, end = (starts[row - 1] + column for row, column in (token.start, token.end))
            tags[begin:end] = kind
    return tags


def network() -> Any:
    """Build it: embedding, two bidirectional layers, a class for each character."""
    from torch import nn

    class Tagger(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(128, EMBEDDED)
            self.lstm = nn.LSTM(EMBEDDED, HIDDEN, num_layers=2, bidirectional=True, batch_first=True)
            self.head = nn.Linear(2 * HIDDEN, 7)

        def forward(self, characters: Any) -> Any:
            return self.head(self.lstm(self.embed(characters))[0])

    return Tagger()


def train(model: Any, characters: Any, classes: Any) -> None:
    """Train with Adam."""
    import torch
    from torch.nn.functional import cross_entropy

    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(STEPS):
        chosen = torch.randint(len(characters), (64,))
        loss = cross_entropy(model(characters[chosen]).flatten(0, 1), classes[chosen].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0:
            print(f"  {step}/{STEPS}  loss {float(loss):.3f}", flush=True)
