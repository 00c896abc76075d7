"""Opening data with the bundled readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.core.dataset import Dataset
from studio.core.datasets import open_source
from studio.core.preprocessing import Preprocessing
from studio.core.registry import scan
from studio.core.runtime import TensorInfo
from studio.core.source import Part, Reading, Source
from tests.core.engines import tensor

REGISTRY = scan(Path(__file__).parents[2] / "plugins")
IMAGE = tensor("image", "batch", 1, 4, 4)
IDS = tensor("ids", "batch", "seq", dtype="int64")


def opened(
    path: Path,
    *inputs: TensorInfo,
    preprocess: Preprocessing | None = None,
    reading: Reading | None = None,
    part: Part | None = None,
) -> Dataset:
    source = Source(path=path, preprocess=preprocess, reading=reading or Reading(), part=part)
    return open_source(source, inputs or (IMAGE,), REGISTRY.readers())


def read(dataset: Dataset, size: int = 3, limit: int | None = None) -> dict[str, NDArray[Any]]:
    """Put the batches of a dataset together, labels under ``labels``."""
    batches = list(dataset.batches(size, limit))
    assert [batch.first for batch in batches] == [size * index for index in range(len(batches))]
    joined = {name: np.concatenate([batch.feeds[name] for batch in batches]) for name in batches[0].feeds}
    labels = [batch.labels for batch in batches if batch.labels is not None]
    return {**joined, "labels": np.concatenate(labels)} if labels else joined


def images(samples: int = 7, dtype: Any = np.float32) -> NDArray[Any]:
    return np.arange(samples * 16).reshape(samples, 1, 4, 4).astype(dtype)


def write_tokenizer(path: Path) -> Path:
    """Write a tokenizer of whole words: a to z are 10 to 35, word0 to word9 40 to 49; [CLS] 1 before, [SEP] 2 after."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = {"[PAD]": 5, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3}
    words.update({chr(ord("a") + index): 10 + index for index in range(26)})
    words.update({f"word{index}": 40 + index for index in range(10)})
    made = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    made.save(str(path))
    return path
