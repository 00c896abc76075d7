from __future__ import annotations

import pickle

import pytest

from studio.core import errors
from studio.core.errors import BurnishError, Cancelled, UsageError, VerificationError, nearest

FAMILY = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, BurnishError)]


@pytest.mark.parametrize("kind", FAMILY)
def test_every_error_reads_well_and_travels_between_processes(kind: type[BurnishError]) -> None:
    error = kind("It is wrong.", "Mend it.")
    assert str(error) == "It is wrong. Mend it."
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), back.message, back.hint) == (kind, "It is wrong.", "Mend it.")
    assert str(kind("It is wrong.")) == "It is wrong."
    assert kind.exit_code == (2 if kind is UsageError else 1)


def test_being_cancelled_is_no_error() -> None:
    assert not issubclass(Cancelled, BurnishError)
    assert issubclass(VerificationError, errors.PassError)


@pytest.mark.parametrize(
    ("name", "choices", "said"),
    [
        ("qunatize", ["prune", "quantize"], "Did you mean 'quantize'?"),
        ("zzz", ["prune", "quantize"], "Known: prune, quantize."),
        ("zzz", ["b", "a", "b"], "Known: a, b."),
        ("zzz", [], ""),
        ("", ["a"], "Known: a."),
    ],
)
def test_an_unknown_name_gets_help(name: str, choices: list[str], said: str) -> None:
    assert nearest(name, choices) == said
