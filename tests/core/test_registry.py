from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.core.errors import PluginError, UsageError
from studio.core.manifest import SECTIONS, read_manifest
from studio.core.registry import Registry, scan

PASS = """
from studio.api import Pass, PassResult, Survey
from .words import SUMMARY

class {name}(Pass):
    id = "{id}"
    title = "A pass"
    family = "graph"
    summary = SUMMARY

    def survey(self, model, params, device, scope):
        return Survey(applies=False, summary="")

    def apply(self, artifact, params, context):
        return PassResult(artifact=artifact)
"""


@pytest.fixture(autouse=True)
def forget_plugins() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("burnish_plugin_"):
            del sys.modules[name]


def plugin(folder: Path, contributions: str = "", head: str = "", **modules: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "plugin.toml").write_text(f'id = "{folder.name}"\ntitle = "T"\napi = 1\n{head}\n{contributions}')
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def with_pass(folder: Path, name: str = "graph.one", *, summary: str = "one", **modules: str) -> Path:
    entry = f'[[pass]]\nid = "{name}"\ntitle = "Title of {name}"\nobject = "work:One"\n'
    words = f"SUMMARY = {summary!r}\n"
    return plugin(folder, entry, work=PASS.format(name="One", id=name), words=words, **modules)


def only(registry: Registry) -> tuple[str, str]:
    (row,) = registry.rows
    return row.reason, row.remedy


def test_listing_imports_nothing(tmp_path: Path) -> None:
    folder = with_pass(tmp_path / "bundled" / "one")
    (folder / "work.py").write_text("raise SystemExit('imported')")
    registry = scan(tmp_path / "bundled", tmp_path / "none")
    assert registry.ids("pass") == ("graph.one",)
    assert registry.title("pass", "graph.one") == "Title of graph.one"
    row = registry.plugin_of("pass", "graph.one")
    assert (row.name, row.origin, row.folder, row.reason) == ("one", "bundled", folder, "")


@pytest.mark.parametrize("package", [True, False])
@pytest.mark.parametrize("name", ["one", "my-pass", "my.pass", "my pass"])
def test_an_object_is_made_once(tmp_path: Path, package: bool, name: str) -> None:
    modules = {"__init__": '"""A package."""\n'} if package else {}
    with_pass(tmp_path / name, **modules)
    registry = scan(tmp_path)
    found = registry.get_pass("graph.one")
    assert (found.id, found.summary) == ("graph.one", "one")
    assert registry.get_pass("graph.one") is found
    assert registry.passes() == (found,)
    assert str(tmp_path) not in sys.path


def test_folders_of_one_name_do_not_mix(tmp_path: Path) -> None:
    with_pass(tmp_path / "bundled" / "same", "graph.one", summary="bundled")
    with_pass(tmp_path / "user" / "same", "graph.two", summary="user")
    registry = scan(tmp_path / "bundled", tmp_path / "user")
    assert [registry.get_pass(name).summary for name in ("graph.one", "graph.two")] == ["bundled", "user"]
    assert [row.origin for row in registry.rows] == ["bundled", "user"]


def test_further_folders(tmp_path: Path) -> None:
    with_pass(tmp_path / "extra" / "one")
    registry = scan(tmp_path / "none", None, [tmp_path / "extra", tmp_path / "nothing"])
    assert registry.ids("pass") == ("graph.one",)


def test_hidden_and_private_folders_are_no_plugins(tmp_path: Path) -> None:
    for name in (".git", "__pycache__", "_draft"):
        (tmp_path / name).mkdir()
    (tmp_path / "README").write_text("x")
    assert scan(tmp_path).rows == ()


def test_an_unknown_name(tmp_path: Path) -> None:
    with_pass(tmp_path / "one")
    registry = scan(tmp_path)
    with pytest.raises(UsageError, match=r"There is no pass 'graph\.on'\. Did you mean 'graph\.one'\?"):
        registry.find("pass", "graph.on")
    for find in (registry.get_runtime, registry.get_metric, registry.get_exporter):
        with pytest.raises(UsageError):
            find("graph.one")
    assert not (registry.runtimes() or registry.readers() or registry.metrics() or registry.exporters())


BROKEN = {
    "raises": ("1 / 0", "cannot be loaded: ZeroDivisionError: division by zero."),
    "syntax": ("def", "cannot be loaded: SyntaxError"),
    "no module": (None, "cannot be loaded: ModuleNotFoundError"),
    "no object": ("", "cannot be loaded: AttributeError"),
    "no class": ("One = 5", "cannot be loaded: TypeError"),
    "abstract": ("from studio.api import Pass\nclass One(Pass):\n    id = 'graph.one'", "cannot be loaded: TypeError"),
    "other kind": ("class One:\n    id = 'graph.one'", "work:One of one is not a pass."),
    "other id": (PASS.format(name="One", id="graph.other"), "calls itself 'graph.other', not 'graph.one'."),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_is_a_row_with_its_reason(tmp_path: Path, kind: str) -> None:
    text, message = BROKEN[kind]
    folder = with_pass(tmp_path / "one")
    with_pass(tmp_path / "two", "graph.two")
    if text is None:
        (folder / "work.py").unlink()
    else:
        (folder / "work.py").write_text(text)
    registry = scan(tmp_path)
    assert [found.id for found in registry.passes()] == ["graph.two"]
    (row,) = [row for row in registry.rows if row.name == "one"]
    assert message in row.reason
    assert row.remedy
    assert row.manifest is not None
    for _ in range(2):
        with pytest.raises(PluginError) as caught:
            registry.get_pass("graph.one")
        assert message in caught.value.message


def test_a_package_that_fails_fails_every_time(tmp_path: Path) -> None:
    with_pass(tmp_path / "one", __init__="import nothing_of_that_name")
    registry = scan(tmp_path)
    for _ in range(2):
        with pytest.raises(PluginError, match="nothing_of_that_name"):
            registry.get_pass("graph.one")


def test_a_name_that_is_taken_fails_the_second_plugin_as_a_whole(tmp_path: Path) -> None:
    with_pass(tmp_path / "a", "graph.one", summary="first")
    second = with_pass(tmp_path / "b", "graph.one", summary="second")
    with (second / "plugin.toml").open("a") as stream:
        stream.write('[[pass]]\nid = "graph.more"\ntitle = "More"\nobject = "work:One"\n')
    registry = scan(tmp_path)
    assert registry.ids("pass") == ("graph.one",)
    assert registry.get_pass("graph.one").summary == "first"
    assert registry.rows[1].reason == "The pass 'graph.one' is already offered by the plugin a."


def test_a_name_given_twice_in_one_plugin(tmp_path: Path) -> None:
    folder = with_pass(tmp_path / "one")
    with (folder / "plugin.toml").open("a") as stream:
        stream.write('[[pass]]\nid = "graph.one"\ntitle = "Again"\nobject = "work:Other"\n')
    registry = scan(tmp_path)
    assert registry.ids("pass") == ()
    assert only(registry)[0] == "The plugin offers the pass 'graph.one' twice."


def test_installed_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_pass(tmp_path / "site" / "their_plugin", __init__="")
    monkeypatch.syspath_prepend(tmp_path / "site")
    points = [
        importlib.metadata.EntryPoint("good", value, "burnish.plugins")
        for value in ("their_plugin", "not_there", "not_there.sub:x")
    ]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)
    registry = scan(tmp_path / "none")
    assert [row.origin for row in registry.rows] == ["installed", "installed"]
    assert registry.get_pass("graph.one").summary == "one"
    assert "their_plugin" not in sys.modules
    assert "is not there" in registry.rows[1].reason


# manifests


def test_a_manifest_with_everything(tmp_path: Path) -> None:
    entries = "".join(f'[[{kind}]]\nid = "x.{kind}"\ntitle = "T"\nobject = "m:O"\n' for kind in SECTIONS)
    head = 'requires = [{ name = "numpy" }, { name = "any", module = "numpy" }]'
    manifest = read_manifest(plugin(tmp_path / "one", entries, head))
    assert (manifest.id, manifest.title, manifest.api) == ("one", "T", 1)
    assert [[entry.id for entry in manifest.section(kind)] for kind in SECTIONS] == [[f"x.{kind}"] for kind in SECTIONS]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("id = ", "is not valid TOML", "Mend the line it names."),
        ("id = 'x'\ntitle = 'T'", "is not a manifest: api: field required.", "Mend that key."),
        ("id = 'x'\ntitle = 'T'\napi = 1\ncolour = 1", "is not a manifest: colour: extra inputs", "Mend that key."),
        (
            "id = 'x'\ntitle = 'T'\napi = 1\n[[pass]]\nid = 'p'",
            "is not a manifest: pass.0.title: field",
            "Mend that key.",
        ),
        ("id = 'x'\ntitle = 'T'\napi = 2", "The plugin x is for plugin API 2; this Burnish has 1.", "Update the older"),
        (
            "id = 'x'\ntitle = 'T'\napi = 1\nrequires = [{ name = 'nothing-of-that-name' }]",
            "nothing-of-that-name is not installed.",
            "Run: pip install nothing-of-that-name",
        ),
        (
            "id = 'x'\ntitle = 'T'\napi = 1\nrequires = [{ name = 'a', module = 'nothing_there', remedy = 'buy one' }]",
            "a is not installed.",
            "Run: buy one",
        ),
        (None, "cannot be read", "Put a plugin.toml"),
    ],
)
def test_manifests_that_cannot_be_used(tmp_path: Path, text: str | None, message: str, hint: str) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    if text is not None:
        (folder / "plugin.toml").write_text(text)
    with pytest.raises(PluginError) as caught:
        read_manifest(folder)
    assert message in caught.value.message
    assert caught.value.hint.startswith(hint)
    assert only(scan(tmp_path)) == (caught.value.message, caught.value.hint)
