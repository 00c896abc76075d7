"""Time that other programs took is taken out of a call's."""

from __future__ import annotations

from pathlib import Path
from time import sleep

from studio.core.runqueue import undisturbed_ns, waited_ns


def test_waiting_for_a_processor_is_subtracted(tmp_path: Path) -> None:
    file = tmp_path / "schedstat"
    file.write_text("5 1000000 3\n")
    assert waited_ns(file) == 1_000_000

    def call() -> None:
        sleep(0.03)
        file.write_text("6 21000000 4\n")

    assert undisturbed_ns(call, file) >= 10_000_000
    file.write_text("5 1000000 3\n")
    alone = undisturbed_ns(lambda: sleep(0.03), file)
    assert alone >= 30_000_000


def test_more_waiting_than_time_leaves_something(tmp_path: Path) -> None:
    file = tmp_path / "schedstat"
    file.write_text("5 0 3\n")
    assert undisturbed_ns(lambda: file.write_text("6 9000000000000 4\n"), file) == 1


def test_where_nothing_tells_nothing_is_subtracted(tmp_path: Path) -> None:
    assert waited_ns(tmp_path / "none") is None
    assert undisturbed_ns(lambda: sleep(0.001), tmp_path / "none") >= 1_000_000
    (tmp_path / "odd").write_text("what\n")
    assert waited_ns(tmp_path / "odd") is None
