"""Arrays that survive what made them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from studio.core.memo import Memo
from studio.core.resultcache import ResultCache


def test_arrays_come_back(tmp_path: Path) -> None:
    memo, key = Memo(tmp_path / "memo"), Memo.key("ranges", "model", {"samples": 3})
    assert memo.load(key) is None
    assert memo.save(key, {"a": np.arange(6).reshape(2, 3), "none": np.zeros((0, 4))})
    found = Memo(tmp_path / "memo").load(key)
    assert found is not None
    assert np.array_equal(found["a"], np.arange(6).reshape(2, 3))
    assert found["none"].shape == (0, 4)
    memo.save(key, {"a": np.ones(1)})
    assert list((memo.load(key) or {})["a"]) == [1]
    memo.forget(key)
    assert memo.load(key) is None


def test_keys_differ_with_every_part() -> None:
    keys = {Memo.key("ranges", "model", 3), Memo.key("ranges", "model", 4), Memo.key("moments", "model", 3)}
    assert len(keys) == 3


def test_damage_is_as_if_nothing_was_kept(tmp_path: Path) -> None:
    memo = Memo(tmp_path)
    memo.save("k", {"a": np.arange(1000)})
    path = tmp_path / "k.npz"
    for content in (b"", b"not an archive", path.read_bytes()[:500]):
        path.write_bytes(content)
        assert memo.load("k") is None


def test_a_folder_that_cannot_be_made_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not Memo(tmp_path / "file" / "memo").save("k", {"a": np.ones(1)})


def test_the_oldest_go_first(tmp_path: Path) -> None:
    cache = ResultCache(tmp_path)
    for index, name in enumerate(("old", "middle", "new")):
        cache.memo.save(name, {"a": np.zeros(1000)})
        os.utime(cache.memo.folder / f"{name}.npz", (2e9 + index, 2e9 + index))
    size = (cache.memo.folder / "old.npz").stat().st_size
    assert cache.memo.tidy(2 * size) == size
    assert [cache.memo.load(name) is None for name in ("old", "middle", "new")] == [True, False, False]
    os.utime(cache.memo.folder / "middle.npz", (1, 1))
    cache.memo.tidy()
    assert cache.memo.load("middle") is None
    cache.clear()
    assert cache.memo.load("new") is None
