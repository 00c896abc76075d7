from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from studio.core.errors import DataError
from studio.core.source import Reading
from tests.core.engines import tensor
from tests.data.readers import IDS, opened, read, write_tokenizer

INPUTS = tuple(
    tensor(name, "batch", "tokens", dtype="int64") for name in ("input_ids", "attention_mask", "token_type_ids")
)
ROWS = "text,other,label\na b c,x,0\nd,y z,1\na b c d e f,x,2\n"


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    return write_tokenizer(tmp_path / "tokenizer.json")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    (tmp_path / "rows.csv").write_text(ROWS, encoding="utf-8")
    return tmp_path / "rows.csv"


def test_text_becomes_what_the_inputs_are_named_after(rows: Path, tokenizer: Path) -> None:
    data = opened(rows, *INPUTS, reading=Reading(tokenizer=tokenizer))
    found = read(data)
    assert found["input_ids"].tolist() == [
        [1, 10, 11, 12, 2, 5, 5, 5],
        [1, 13, 2, 5, 5, 5, 5, 5],
        [1, 10, 11, 12, 13, 14, 15, 2],
    ]
    assert found["attention_mask"].sum(axis=1).tolist() == [5, 3, 8]
    assert not found["token_type_ids"].any()
    assert found["labels"].tolist() == [0, 1, 2]
    assert found["input_ids"].dtype == np.int64


def test_each_batch_is_padded_to_its_own_longest(rows: Path, tokenizer: Path) -> None:
    data = opened(rows, *INPUTS, reading=Reading(tokenizer=tokenizer))
    assert [batch.feeds["input_ids"].shape for batch in data.batches(2)] == [(2, 5), (1, 8)]


def test_tokens_are_said_as_text(rows: Path, tokenizer: Path) -> None:
    data = opened(rows, *INPUTS, reading=Reading(tokenizer=tokenizer))
    batch = next(iter(data.batches(1)))
    words = data.words("input_ids", batch.feeds["input_ids"][0])
    assert {"a", "b", "c"} <= set(words.split())
    assert data.words("attention_mask", batch.feeds["attention_mask"][0]) == ""


@pytest.mark.parametrize("length", [4, 12])
def test_a_length_pads_and_cuts(rows: Path, tokenizer: Path, length: int) -> None:
    found = read(opened(rows, *INPUTS, reading=Reading(tokenizer=tokenizer, length=length)))
    assert found["input_ids"].shape == (3, length)
    assert found["attention_mask"].sum(axis=1).tolist() == [min(length, n) for n in (5, 3, 8)]


def test_the_models_own_length_holds(rows: Path, tokenizer: Path) -> None:
    fixed = tensor("input_ids", 1, 6, dtype="int64")
    data = opened(rows, fixed, reading=Reading(tokenizer=tokenizer))
    assert [batch.feeds["input_ids"].shape for batch in data.batches(2)] == [(2, 6), (1, 6)]
    with pytest.raises(DataError, match="The model takes 6 tokens, not 8"):
        opened(rows, fixed, reading=Reading(tokenizer=tokenizer, length=8))


def test_two_columns_are_a_pair(rows: Path, tokenizer: Path) -> None:
    found = read(opened(rows, *INPUTS, reading=Reading(tokenizer=tokenizer, text=("text", "other"))))
    assert found["input_ids"][1].tolist()[:6] == [1, 13, 2, 34, 35, 2]
    assert found["token_type_ids"][1].tolist()[:6] == [0, 0, 0, 1, 1, 1]


def test_a_line_is_a_sample(tmp_path: Path, tokenizer: Path) -> None:
    (tmp_path / "lines.txt").write_text("a b\n\nc\n", encoding="utf-8")
    data = opened(tmp_path / "lines.txt", INPUTS[0], reading=Reading(tokenizer=tokenizer))
    assert (data.samples, data.labelled) == (2, False)
    assert read(data)["input_ids"].tolist() == [[1, 10, 11, 2], [1, 12, 2, 5]]


def test_what_is_missing_is_said(rows: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"no tokenizer turns it .* --read tokenizer=FILE"):
        opened(rows, *INPUTS)
    with pytest.raises(DataError, match="There is no tokenizer"):
        opened(rows, *INPUTS, reading=Reading(tokenizer=rows.parent / "none.json"))
    with pytest.raises(DataError, match="is no tokenizer file"):
        opened(rows, *INPUTS, reading=Reading(tokenizer=rows))
    with pytest.raises(DataError, match=r"no column 'texts'\. Did you mean 'text'"):
        opened(rows, *INPUTS, reading=Reading(tokenizer=tokenizer, text=("texts",)))
    with pytest.raises(DataError, match="takes no tokens"):
        opened(rows, tensor("x", "batch", 4), reading=Reading(tokenizer=tokenizer))
    with pytest.raises(DataError, match="Nothing that a tokenizer gives is known to feed the input 'x'"):
        opened(rows, INPUTS[0], tensor("x", "batch", "n", dtype="int64"), reading=Reading(tokenizer=tokenizer))
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(DataError, match=r"pip install 'burnish\[text\]'"):
        opened(rows, *INPUTS, reading=Reading(tokenizer=tokenizer))


def test_columns_that_do_not_say_which_is_the_text(tmp_path: Path, tokenizer: Path) -> None:
    (tmp_path / "rows.csv").write_text("p,q,label\na,b,0\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"which column holds the text; its columns are: p, q, label"):
        opened(tmp_path / "rows.csv", *INPUTS, reading=Reading(tokenizer=tokenizer))


def test_the_digest_is_of_text_and_tokenizer(rows: Path, tokenizer: Path) -> None:
    before = opened(rows, IDS, reading=Reading(tokenizer=tokenizer)).digest()
    assert before == opened(rows, IDS, reading=Reading(tokenizer=tokenizer)).digest()
    tokenizer.write_text(tokenizer.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert before != opened(rows, IDS, reading=Reading(tokenizer=tokenizer)).digest()
