"""Shared by the tests of ``installer/dev.py``: programs that only pretend, and a checkout to try things in."""

import base64
import hashlib
import os
import shutil
import zipfile
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import pytest

from installer import environment

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Fakes:
    """A folder for the PATH, with shell scripts that note how they were called."""

    folder: Path
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.log = self.folder.parent / "calls.txt"
        self.log.touch()

    def add(self, name: str, body: str = "exit 0") -> Path:
        program = self.folder / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> "{self.log}"\n{body}\n', encoding="utf-8")
        program.chmod(0o755)
        return program

    def calls(self, name: str = "") -> list[str]:
        return [line for line in self.log.read_text(encoding="utf-8").splitlines() if line.startswith(name)]


@pytest.fixture
def fakes(tmp_path: Path) -> Fakes:
    if os.name != "posix":
        pytest.skip("the stand-ins are shell scripts")
    return Fakes(tmp_path / "fakes")


@pytest.fixture
def only_fakes(fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> Fakes:
    """Nothing on the PATH but the stand-ins and what their scripts need."""
    for name in ("env", "cp", "mkdir", "cat", "sh"):
        (fakes.folder / name).symlink_to(shutil.which(name) or name)
    monkeypatch.setenv("PATH", str(fakes.folder))
    monkeypatch.delenv("BURNISH_NO_APT", raising=False)
    return fakes


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let `environment` work on an empty checkout whose path has a space and a letter beyond ASCII."""
    root = tmp_path / "my chéckout"
    (root / "installer").mkdir(parents=True)
    (root / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    (root / "installer" / "requirements.lock").write_text("# nothing\n", encoding="utf-8")
    venv = root / ".venv"
    for name, path in {
        "ROOT": root,
        "VENV": venv,
        "LOCK": root / "installer" / "requirements.lock",
        "PROJECT": root / "pyproject.toml",
        "STAMP": venv / "burnish-setup.txt",
        "LOG": venv / "burnish-setup.log",
    }.items():
        monkeypatch.setattr(environment, name, path)
    return root


def add_wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> str:
    """Write a wheel; returns its line for a lock file."""
    info = f"{name}-{version}.dist-info"
    contents = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},{_digest(text)},{len(text)}\n" for path, text in contents.items())
    target = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for path, text in {**contents, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(path, text)
    return f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(target.read_bytes()).hexdigest()}\n"


def _digest(text: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture(scope="session")
def pip_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pack the pip that runs here into a wheel: it is what Debian's package of it holds."""
    target = tmp_path_factory.mktemp("wheels") / f"pip-{metadata.version('pip')}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for file in metadata.files("pip") or []:
            path = Path(str(file.locate()))
            if "__pycache__" not in file.parts and ".." not in file.parts and path.is_file():
                archive.write(path, str(file))
    return target
