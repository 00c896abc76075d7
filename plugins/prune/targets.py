"""The weights that may be pruned, and why others may not."""

from __future__ import annotations

from studio.api import Weight as Target
from studio.api import find_weights as find_targets
from studio.api import replace_content

__all__ = ["Target", "find_targets", "replace_content"]
