"""Words of the window, ready for translation."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

CONTEXT = "Burnish"


def tr(text: str, **values: object) -> str:
    """Give a text in the user's language; ``{names}`` in it are replaced after it was translated.

    The text must stand in the call itself, so that it can be collected for translators.
    """
    found = QCoreApplication.translate(CONTEXT, text)
    return found.format(**values) if values else found
