from __future__ import annotations

from tests.ui.conftest import cache, heard, pool, sample_window, session, tokens, window

__all__ = ["cache", "heard", "pool", "sample_window", "session", "tokens", "window"]
