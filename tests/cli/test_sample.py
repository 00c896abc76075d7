"""``sample --headless``: the whole loop on the bundled sample, with everything that it promises to write."""

from __future__ import annotations

import tomllib
import zipfile
from pathlib import Path

from studio.core.artifact import sha256_file
from tests.cli.conftest import Burnish, FakeWindow


def test_headless(call: Burnish, tmp_path: Path) -> None:
    ran = call("sample", "--headless", "-o", "made", "--seconds", "0.2", "--json")
    assert ran.status == 0, ran.stderr
    found, made = ran.json, tmp_path / "made"
    names = {"model.onnx", "recipe.toml", "report.html", "bundle.zip", "sample.burnish", "window.png"}
    assert {path.name for path in made.iterdir()} == names
    assert {Path(path).name for path in found["results"].values()} == names
    assert set(found["steps"]) == {"folded", "int8", "float16", "sparse"}
    assert {row["model"] for row in found["evaluations"]} == {"baseline", *found["steps"]}
    assert found["best"] in {"baseline", *found["steps"]}
    assert len(found["bench"]["pairs"]) == 4
    assert found["export"]["sha256"] == sha256_file(made / "bundle.zip")
    with zipfile.ZipFile(made / "bundle.zip") as bundle:
        assert bundle.testzip() is None
        assert bundle.read("model.onnx") == (made / "model.onnx").read_bytes()
    assert (made / "window.png").read_bytes() == b"sample.burnish"
    report = (made / "report.html").read_text()
    assert "<svg" in report
    assert all(name in report for name in found["steps"])
    recipe = tomllib.loads((made / "recipe.toml").read_text())
    assert bool(recipe["step"]) == (found["best"] != "baseline")
    assert call("export", made / "sample.burnish", "-o", tmp_path / "again.zip", "--json").status == 0


def test_without_headless_it_opens_the_studio(call: Burnish, window: FakeWindow) -> None:
    assert call("sample").status == 0
    assert window.shown == ["--sample"]
