"""Many short texts in two arrays: loaded without making an object of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Texts:
    """Texts by index.

    Attributes
    ----------
    content
        uint8 ``(bytes,)``: all of them in UTF-8, one after the other, each followed by a zero byte.
    ends
        int64 ``(count,)``: where each ends.
    """

    content: NDArray[np.uint8]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        """Pack texts."""
        import numpy as np

        encoded = [text.replace("\0", " ").encode("utf-8", "replace") for text in texts]
        ends = np.cumsum([len(part) + 1 for part in encoded], dtype=np.int64) - 1
        packed = b"\0".join([*encoded, b""]) if encoded else b""
        return cls(np.frombuffer(packed, np.uint8), ends)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> str:
        start = int(self.ends[index - 1]) + 1 if index else 0
        return self.content[start : int(self.ends[index])].tobytes().decode("utf-8", "replace")

    def find(self, text: str, after: int = -1) -> int | None:
        """Give the next index whose text holds `text`, the case of ASCII letters ignored; round to the beginning.

        Parameters
        ----------
        after
            The index to begin behind.
        """
        wanted = text.encode("utf-8").lower()
        if not wanted or not len(self) or b"\0" in wanted:
            return None
        start = int(self.ends[after]) + 1 if 0 <= after < len(self) else 0
        place = self._lower.find(wanted, start)
        if place < 0:
            place = self._lower.find(wanted)
        return None if place < 0 else int(self.ends.searchsorted(place))

    def count(self, text: str) -> int:
        """Count the texts that hold `text`, case ignored."""
        found, after, first = 0, -1, None
        while (index := self.find(text, after)) is not None and index != first and index > after:
            first = index if first is None else first
            found, after = found + 1, index
        return found

    @cached_property
    def _lower(self) -> bytes:
        # of bytes: places must stay where they are
        return self.content.tobytes().lower()
