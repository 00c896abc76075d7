"""The wheel: the application with its plugins and assets inside, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = target.glob("burnish-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def shipped(folder: str) -> set[str]:
    files = (path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file())
    kept = {path.as_posix() for path in files if "__pycache__" not in path.parts}
    return kept - {"assets/samples/train.py"}


@pytest.mark.parametrize("folder", ["plugins", "assets"])
def test_bundled_folders_travel_inside_the_application(names: set[str], folder: str) -> None:
    prefix = f"studio/_bundled/{folder}/"
    assert {name.removeprefix("studio/_bundled/") for name in names if name.startswith(prefix)} == shipped(folder)
    assert any(name.endswith("/plugin.toml") for name in names)


def test_every_module_is_there(names: set[str]) -> None:
    assert {name for name in names if name.startswith("studio/") and "/_bundled/" not in name} == shipped("studio")


def test_nothing_else_lands_in_site_packages(names: set[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"studio"}


def test_the_licence_travels(names: set[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_an_editable_install_copies_nothing(tmp_path: Path) -> None:
    # A copy of plugins in site-packages would be stale at the first change.
    build = f"import hatchling.build as b; print(b.build_editable({str(tmp_path)!r}))"
    done = subprocess.run([sys.executable, "-c", build], cwd=ROOT, check=True, capture_output=True, text=True)
    with zipfile.ZipFile(tmp_path / done.stdout.split()[-1]) as archive:
        assert not [name for name in archive.namelist() if ".dist-info/" not in name and not name.endswith(".pth")]
