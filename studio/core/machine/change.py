"""What a pass changes, as far as time is concerned."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from studio.core.frozen import Frozen
from studio.core.machine.profile import Precision

Share = Annotated[float, Field(ge=0, le=1)]


class Change(Frozen):
    """What becomes of the nodes that a survey names.

    Attributes
    ----------
    precision
        What those that multiply compute in afterwards; None where that stays.
    keep
        The least and the most that stays of their multiply-accumulates.
    """

    precision: Precision | None = None
    keep: tuple[Share, Share] = (1.0, 1.0)
