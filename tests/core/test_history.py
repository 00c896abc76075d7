from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.history import History
from studio.core.project import BASELINE, Project, Variant

BASE = Variant(id=BASELINE, name=BASELINE, model="m0", bytes=1, nodes=1)


def state(number: int) -> Project:
    child = Variant(id="v", name="v", parent=BASELINE, model=f"m{number}", bytes=1, nodes=1)
    return Project(name="p", source_name="s", created_at="t", variants=(BASE, child) if number else (BASE,))


def test_the_start_has_nothing_to_undo() -> None:
    history = History.start(state(0))
    assert history.present == state(0)
    assert not (history.can_undo or history.can_redo)
    assert (history.undo_label, history.redo_label) == ("", "")
    assert history.undo() is history
    assert history.redo() is history


def test_undo_and_redo_with_their_labels() -> None:
    first = History.start(state(0)).push(state(1), "Add INT8")
    second = first.push(state(2), "Prune")
    assert (second.undo_label, second.redo_label) == ("Prune", "")
    back = second.undo()
    assert back.present == state(1)
    assert (back.undo_label, back.redo_label) == ("Add INT8", "Prune")
    assert back.redo() == second
    assert back.undo().undo_label == ""
    assert second.labels == ("", "Add INT8", "Prune")
    assert second.present == state(2), "an edit gives a new history"


def test_an_edit_forgets_what_was_undone() -> None:
    history = History.start(state(0)).push(state(1), "a").push(state(2), "b").undo().push(state(3), "c")
    assert not history.can_redo
    assert history.labels == ("", "a", "c")
    assert history.models == {"m0", "m1", "m3"}


def test_an_edit_that_changes_nothing_is_none() -> None:
    history = History.start(state(0)).push(state(1), "a").undo()
    assert history.push(state(0), "nothing") is history


def test_snapshots_share_what_did_not_change() -> None:
    project = state(1)
    history = History.start(state(0)).push(project, "a")
    assert history.present is project


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        History.start(state(0), limit=0)


@given(st.integers(1, 5), st.lists(st.one_of(st.integers(0, 3), st.sampled_from(["undo", "redo"])), max_size=20))
def test_it_does_what_two_stacks_do(limit: int, edits: list[int | str]) -> None:
    history, past, future = History.start(state(0), limit), [state(0)], list[Project]()
    for edit in edits:
        if edit == "undo":
            history = history.undo()
            if len(past) > 1:
                future.append(past.pop())
        elif edit == "redo":
            history = history.redo()
            if future:
                past.append(future.pop())
        elif isinstance(edit, int):
            history = history.push(state(edit), "edit")
            if past[-1] != state(edit):
                past, future = [*past, state(edit)][-limit:], []
        assert history.present == past[-1]
        assert (history.can_undo, history.can_redo) == (len(past) > 1, bool(future))
        assert len(history.snapshots) <= limit
