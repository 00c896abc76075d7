"""English sentences that come with Python itself: the reference of its language and its modules' documentation."""

from __future__ import annotations

import pydoc_data.topics
import re


def sentences() -> list[str]:
    """Give sentences of 5 to 40 words, in order, each once."""
    text = "\n\n".join(pydoc_data.topics.topics.values())
    found: dict[str, None] = {}
    for paragraph in re.split(r"\n\s*\n", text):
        for sentence in re.split(r"(?<=[.!?])\s+", " ".join(paragraph.split())):
            if 5 <= len(sentence.split()) <= 40 and sentence[:1].isupper() and sentence.endswith("."):
                found.setdefault(sentence)
    return list(found)
