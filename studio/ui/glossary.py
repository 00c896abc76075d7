"""The words of the field in a sentence each, for tooltips: read from the help page of the glossary."""

from __future__ import annotations

import re
from functools import cache

from studio.locations import assets

_PAGE = "glossary"


@cache
def terms() -> dict[str, str]:
    """Give each term with its explanation, as plain text."""
    text = (assets() / "help" / f"{_PAGE}.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    found = {}
    for section in sections:
        title, _, body = section.partition("\n")
        found[title.strip()] = _plain(body.strip().partition("\n\n")[0])
    return found


def explained(tip: str) -> str:
    """Add to a tooltip what the terms in it mean; what it says already is not said again."""
    found = [
        f"{term}: {terms()[term]}"
        for term in dict.fromkeys(match.group(0) for match in _pattern().finditer(tip))
        if terms()[term] not in tip
    ]
    return "\n\n".join([tip, *found]) if found else tip


@cache
def _pattern() -> re.Pattern[str]:
    longest_first = sorted(terms(), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")


def _plain(text: str) -> str:
    """Take the marks of Markdown away."""
    unlinked = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return " ".join(re.sub(r"[*`]", "", unlinked).split())
