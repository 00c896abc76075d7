"""The cache is bounded, shown and cleared."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import models
from tests.cli.conftest import Burnish, refused

STEPS = ("--step", "prune.unstructured:min_weights=1")


@pytest.fixture
def own_cache(call: Burnish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that the other tests do not fill."""
    monkeypatch.setenv("BURNISH_CACHE", str(tmp_path / "cache"))
    models.save(models.mlp(), tmp_path / "m.onnx")
    return tmp_path / "cache"


def test_showing_and_clearing(call: Burnish, own_cache: Path) -> None:
    empty = call("cache", "--json").json
    assert (empty["bytes"], empty["results"], empty["freed_bytes"]) == (0, 0, 0)
    assert 0 < empty["limit_bytes"] <= 10_000_000_000
    assert call("optimize", "m.onnx", "-o", "out.onnx", *STEPS).status == 0
    full = call("cache", "--json").json
    assert full["results"] == 1
    assert full["bytes"] > 500
    cleared = call("cache", "--clear", "--json").json
    assert cleared["freed_bytes"] == full["bytes"]
    assert (cleared["bytes"], cleared["results"]) == (0, 0)
    assert call("optimize", "m.onnx", "-o", "out.onnx", *STEPS).status == 0
    assert str(own_cache) in call("cache").stdout
    assert "freed" in call("cache", "--clear").stdout


def test_a_command_that_adds_keeps_the_limit(
    call: Burnish, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.core.stepcache.StepCache.prune.__kwdefaults__", {"grace": 0.0})
    monkeypatch.setattr("studio.core.resultcache.ResultCache.tidy.__kwdefaults__", {"grace": 0.0})
    monkeypatch.setenv("BURNISH_CACHE_GB", "0")
    assert call("optimize", "m.onnx", "-o", "out.onnx", *STEPS).status == 0
    assert (tmp_path / "out.onnx").is_file()
    assert call("cache", "--json").json["results"] == 0
    monkeypatch.setenv("BURNISH_CACHE_GB", "1")
    assert call("optimize", "m.onnx", "-o", "out.onnx", *STEPS).status == 0
    assert call("cache", "--json").json["results"] == 1


@pytest.mark.parametrize("limit", ["much", "-1", "nan", "inf"])
def test_a_limit_that_is_none(call: Burnish, own_cache: Path, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setenv("BURNISH_CACHE_GB", limit)
    refused(call("cache", "--json"), f"BURNISH_CACHE_GB is '{limit}'", 2)
