"""The error family: one sentence of what is wrong, one of what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BurnishError(Exception):
    """Something the user can understand and mend.

    Parameters
    ----------
    message
        One sentence that says what is wrong.
    hint
        One sentence that says what to do about it; may be empty.
    """

    #: exit status of the command line: 1 the work failed, 2 wrong usage
    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def __reduce__(self) -> tuple[type[BurnishError], tuple[str, str]]:
        return type(self), (self.message, self.hint)


class UsageError(BurnishError):
    """A wrong argument, option, name or value: nothing was started."""

    exit_code = 2


class ModelError(BurnishError):
    """A model file that cannot be read, is not valid, or is not supported."""


class DataError(BurnishError):
    """A dataset that cannot be read or does not fit the model."""


class PassError(BurnishError):
    """A pass that cannot be applied, or failed while it was."""


class VerificationError(PassError):
    """A pass's result that is not a valid model or does not compute what its source does."""


class RuntimeLoadError(BurnishError):
    """A model that a runtime cannot load or run on a device."""


class StoreError(BurnishError):
    """A project or file that cannot be read or written."""


class PluginError(BurnishError):
    """A plugin that is broken, incompatible or lacks a requirement."""


class JobError(BurnishError):
    """A job that failed outside the code it ran: a crash, a lost worker, no memory."""


class BudgetError(BurnishError):
    """The work was done, but a budget (accuracy, size, latency) was not met."""


class Cancelled(Exception):
    """Raised inside a job when its cancellation was asked for; not an error."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """Say "did you mean" for an unknown name.

    Parameters
    ----------
    name
        What was asked for.
    choices
        The names that exist.

    Returns
    -------
    str
        A sentence that suggests the nearest name, else lists the names; empty without choices.
    """
    known = sorted(set(choices))
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known: {', '.join(known)}." if known else ""
