"""Text: lines of a file or columns of a manifest, turned into token ids by a tokenizer file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.api import (
    Batch,
    DataError,
    Dataset,
    DatasetReader,
    Reading,
    Source,
    TensorInfo,
    as_numpy_dtype,
    nearest,
)

from .labels import as_labels
from .rows import RowLabels, read_rows
from .table import digest_files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Encoded = list[list[int]]

#: tokens of a sample at most where neither the model nor the user says it
LONGEST = 512
#: columns that text is looked for in when none is named
TEXT_COLUMNS = ("text", "sentence", "content", "review", "question")
#: what a tokenizer gives, by the names that exporters give to the inputs
ATTRIBUTES = {
    "input_ids": "ids",
    "input_ids_1": "ids",
    "ids": "ids",
    "tokens": "ids",
    "attention_mask": "attention_mask",
    "input_mask": "attention_mask",
    "mask": "attention_mask",
    "token_type_ids": "type_ids",
    "segment_ids": "type_ids",
    "position_ids": "positions",
}


class TextReader(DatasetReader):
    """Reads text files, a sample a line."""

    id = "text"
    title = ".txt with a sample a line, and a tokenizer"

    def matches(self, path: Path) -> bool:
        """Say whether it is a file named so."""
        return path.suffix.lower() == ".txt" and path.is_file()

    def open(self, path: Path, inputs: Sequence[TensorInfo], how: Source | None = None) -> Dataset:
        """Open a text file.

        Raises
        ------
        DataError
            When there is no tokenizer, or the model takes no tokens.
        """
        return TextDataset(path, inputs, how.reading if how else Reading())


class TextDataset(Dataset):
    """Text that is read and tokenized batch by batch; only one batch of it is ever held.

    Raises
    ------
    DataError
        When there is no tokenizer or text, or the model takes no tokens.
    """

    def __init__(self, path: Path, inputs: Sequence[TensorInfo], reading: Reading) -> None:
        self.name = path.name
        self._path = path
        self._inputs = tuple(inputs)
        self._roles = {info.name: _role(info, inputs, path) for info in inputs}
        self._tokenizer, self._pad = load_tokenizer(reading.tokenizer, path)
        self._file = reading.tokenizer
        self._length = _fixed_length(inputs, reading)
        self._most = self._length or LONGEST
        self._labels = RowLabels(path, reading.label, reading.labels)
        self._columns = () if path.suffix.lower() == ".txt" else _columns(path, reading)
        self.samples = 0
        for line, row in self._rows():
            self.labelled = self._labels.read(line, row) is not None
            self.samples += 1
        if not self.samples:
            raise DataError(f"{path.name} has no samples.", "Give data with at least one sample.")
        self.label_kind = self._labels.kind
        end = f"padded or cut to {self._length}" if self._length else f"padded in each batch, cut at {LONGEST}"
        self.notes = (f"Text of {path.name} became tokens by {self._file.name if self._file else '?'}, {end}.",)
        self._encoded([next(self._rows())])

    def batches(self, size: int, limit: int | None = None) -> Iterator[Batch]:
        """Read and tokenize the samples in order, `size` at a time, at most `limit`."""
        end = self.samples if limit is None else min(limit, self.samples)
        first = 0
        rows: list[tuple[int, Mapping[str, Any]]] = []
        for row in self._rows() if end else ():
            rows.append(row)
            if len(rows) == size or first + len(rows) == end:
                yield Batch(first, self._encoded(rows), self._labels_of(rows))
                first, rows = first + len(rows), []
                if first == end:
                    return

    def words(self, name: str, sample: NDArray[Any]) -> str:
        """Give the text of a sample's tokens; empty for masks and the like."""
        if self._roles.get(name) != "ids":
            return ""
        return str(self._tokenizer.decode([int(token) for token in sample.reshape(-1)]))

    def fingerprints(self) -> Iterator[bytes]:
        """Give the hash of each sample's text."""
        for line, row in self._rows():
            yield hashlib.sha256("\0".join(self._texts(line, row)).encode()).digest()

    def digest(self) -> str:
        """Give the sha256 of the file and the tokenizer."""
        files = [("", self._path), *([("tokenizer", self._file)] if self._file else [])]
        return digest_files(files)

    def _rows(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        if self._columns:
            yield from read_rows(self._path)
            return
        try:
            with self._path.open(encoding="utf-8-sig") as stream:
                for number, line in enumerate(stream, 1):
                    if line.strip():
                        yield number, {"text": line.rstrip("\r\n")}
        except UnicodeDecodeError:
            raise DataError(f"{self._path.name} is not text in UTF-8.", "Save it as UTF-8.") from None
        except OSError as error:
            raise DataError(f"{self._path} cannot be read: {error.strerror}.", "Check its permissions.") from None

    def _texts(self, line: int, row: Mapping[str, Any]) -> tuple[str, ...]:
        texts = tuple(row.get(column) for column in self._columns or ("text",))
        for column, text in zip(self._columns or ("text",), texts, strict=True):
            if not isinstance(text, str):
                raise DataError(f"Line {line} of {self._path.name} has no text in {column!r}.", "Mend that line.")
        return tuple(str(text) for text in texts)

    def _labels_of(self, rows: Sequence[tuple[int, Mapping[str, Any]]]) -> NDArray[Any] | None:
        if not self.labelled:
            return None
        return as_labels([self._labels.read(line, row) for line, row in rows], self.label_kind, self._labels.classes)

    def _encoded(self, rows: Sequence[tuple[int, Mapping[str, Any]]]) -> dict[str, NDArray[Any]]:
        """Tokenize some rows; arrays of shape ``(samples, tokens)``."""
        texts = [self._texts(line, row) for line, row in rows]
        found = self._tokenizer.encode_batch([text if len(text) > 1 else text[0] for text in texts])
        length = self._length or max(1, max(min(len(item.ids), self._most) for item in found))
        return {info.name: self._column(found, info, length) for info in self._inputs}

    def _column(self, found: Sequence[Any], info: TensorInfo, length: int) -> NDArray[np.int64]:
        import numpy as np

        role = self._roles[info.name]
        column = np.zeros((len(found), length), as_numpy_dtype(info.dtype))
        if role == "positions":
            column[:] = np.arange(length)
            return column
        if role == "ids":
            column[:] = self._pad
        for row, item in enumerate(found):
            numbers = getattr(item, role)[:length]
            column[row, : len(numbers)] = numbers
        return column


def takes_tokens(inputs: Sequence[TensorInfo]) -> bool:
    """Say whether a model's inputs are all whole numbers of shape ``[batch, tokens]``."""
    return bool(inputs) and all(
        info.dtype in ("int64", "int32") and info.shape is not None and len(info.shape) == 2 for info in inputs
    )


def load_tokenizer(file: Path | None, data: Path) -> tuple[Any, int]:
    """Load a tokenizer file, its padding switched off; gives also the id that fills.

    Raises
    ------
    DataError
        When none is named, it is not there or not valid, or the library is missing.
    """
    if file is None:
        raise DataError(
            f"{data.name} holds text, and no tokenizer turns it into the model's tokens.",
            "Name the model's tokenizer.json: --read tokenizer=FILE.",
        )
    if not file.is_file():
        raise DataError(f"There is no tokenizer {file}.", "Check the path in --read tokenizer=FILE.")
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise DataError(
            "Reading text needs the package tokenizers, which is not installed.", "pip install 'burnish[text]'."
        ) from None
    try:
        made = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises plain Exception for a file that is not valid
        raise DataError(f"{file.name} is no tokenizer file: {error}.", "Give a tokenizer.json.") from None
    padding = made.padding
    pad = padding["pad_id"] if padding else next(
        (made.token_to_id(token) for token in ("[PAD]", "<pad>", "<|endoftext|>", "</s>") if made.token_to_id(token)), 0
    )  # fmt: skip
    made.no_padding()
    return made, int(pad or 0)


def _role(info: TensorInfo, inputs: Sequence[TensorInfo], path: Path) -> str:
    """Say what of a tokenizer's results feeds an input."""
    if not takes_tokens([info]):
        raise DataError(
            f"The input {info.name!r} takes no tokens of {path.name}: it is {info.dtype}, not whole numbers of "
            "shape [batch, tokens].",
            "Give arrays, as .npz, for this model.",
        )
    name = info.name.lower().split(":")[0].rpartition(".")[2]
    if name in ATTRIBUTES:
        return ATTRIBUTES[name]
    if len(inputs) == 1:
        return "ids"
    raise DataError(
        f"Nothing that a tokenizer gives is known to feed the input {info.name!r}.",
        f"{nearest(name, ATTRIBUTES)} Else give arrays, as .npz.",
    )


def _fixed_length(inputs: Sequence[TensorInfo], reading: Reading) -> int | None:
    sizes = {info.shape[1] for info in inputs if info.shape and isinstance(info.shape[1], int)}
    if len(sizes) > 1:
        raise DataError("The model's inputs take different numbers of tokens.", "Give arrays, as .npz.")
    fixed = next(iter(sizes), None)
    if fixed is not None and reading.length not in (None, fixed):
        raise DataError(
            f"The model takes {fixed} tokens, not {reading.length}.", "Leave length out: it is that of the model."
        )
    return int(fixed) if isinstance(fixed, int) else reading.length


def _columns(path: Path, reading: Reading) -> tuple[str, ...]:
    """Find the columns with text: those named, else the first known name, else the only one that is no label."""
    _, row = next(read_rows(path), (0, {}))
    for column in reading.text:
        if column not in row:
            raise DataError(f"{path.name} has no column {column!r}.", nearest(column, row) or "It has no columns.")
    if reading.text:
        return reading.text
    known = [column for column in TEXT_COLUMNS if column in row]
    others = [column for column in row if column != (reading.label or "label")]
    if known or len(others) == 1:
        return ((known or others)[0],)
    raise DataError(
        f"{path.name} does not say which column holds the text; its columns are: {', '.join(row) or 'none'}.",
        "Name it: --read text=COLUMN.",
    )
