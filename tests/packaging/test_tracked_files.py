"""What is tracked names no package registry's host and no path of the machine it was written on."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# In pieces, so that this file does not name them either.
HOSTS = (
    ("py", "pi.org"),
    ("python", "hosted.org"),
    ("registry.", "npmjs"),
    ("deb.", "debian.org"),
    ("archive.", "ubuntu.com"),
    ("proxy.", "golang.org"),
    ("crates", ".io"),
    ("anaconda", ".org"),
)
FOLDERS = (("/ro", "ot/"), ("/opt/", "wheels"), ("/opt/", "pypi"), ("/work/", "main"), ("/work/", "shared"))


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git checkout")
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True, encoding="utf-8").stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_registry_and_no_path_of_this_machine() -> None:
    banned = re.compile("|".join(re.escape("".join(pieces)) for pieces in HOSTS + FOLDERS).encode(), re.IGNORECASE)
    files = tracked()
    assert ROOT / "pyproject.toml" in files
    found = [
        f"{path.relative_to(ROOT)}: {match[0].decode()}"
        for path in files
        for match in [banned.search(path.read_bytes())]
        if match
    ]
    assert not found


def test_ci_runs_the_test_command_of_the_readme() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert lines[-1] == "exec python3 installer/dev.py test"
    assert "python3 installer/dev.py test" in (ROOT / "README.md").read_text(encoding="utf-8")
