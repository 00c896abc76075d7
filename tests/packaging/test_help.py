"""The help pages: every link leads somewhere, and everything that a user can name is in them."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from studio.cli.main import burnish
from studio.core.recipe import parse_recipe
from studio.core.registry import scan

ROOT = Path(__file__).parents[2]
HELP = ROOT / "assets" / "help"
PAGES = sorted(HELP.glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_links_lead_to_pages(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (HELP / target).is_file(), target


def test_every_page_can_be_reached_from_the_index() -> None:
    linked = set(re.findall(r"\]\(([^)#]+)", (HELP / "index.md").read_text(encoding="utf-8")))
    assert {page.name for page in PAGES} - {"index.md"} == linked


def test_every_command_is_described() -> None:
    text = (HELP / "commands.md").read_text(encoding="utf-8")
    assert {name for name in burnish.list_commands(click.Context(burnish)) if f"`burnish {name}" not in text} == set()


def test_every_pass_has_a_page_and_every_other_plugin_is_named() -> None:
    registry = scan(ROOT / "plugins")
    assert [name for name in registry.ids("pass") if not (HELP / f"pass-{name.replace('.', '-')}.md").is_file()] == []
    assert [name for name in registry.ids("runtime") if not (HELP / f"runtime-{name}.md").is_file()] == []
    words = " ".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [name for name in registry.ids("metric") if f"`{name}`" not in words] == []


def test_the_recipe_that_is_shown_is_one() -> None:
    text = (HELP / "recipes.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    recipe = parse_recipe(shown)
    assert [step.pass_id for step in recipe.steps] == ["graph.clean", "quantize.static"]
    assert not recipe.steps[1].scope.everything
