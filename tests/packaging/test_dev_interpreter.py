"""``installer/dev.py`` under a Python that is too old, too new, or the environment's own."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT, Fakes

DEV = ROOT / "installer" / "dev.py"


@pytest.fixture
def demanding(tmp_path: Path) -> Path:
    """Copy the installer into a project that wants a Python which does not exist yet."""
    shutil.copytree(ROOT / "installer", tmp_path / "installer", ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    changed = re.sub(r'requires-python = ".*"', 'requires-python = ">=3.97,<3.99"', text)
    assert changed != text
    (tmp_path / "pyproject.toml").write_text(changed, encoding="utf-8")
    return tmp_path


def call(project: Path, path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(project / "installer" / "dev.py"), *arguments]
    env = {**os.environ, "PATH": str(path)}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, encoding="utf-8")


def test_an_old_python_can_read_the_script() -> None:
    tree = ast.parse(DEV.read_text(encoding="utf-8"), feature_version=(3, 6))
    imported = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    assert not {name for name in imported if name.startswith("installer")}
    assert "from __future__" not in DEV.read_text(encoding="utf-8")
    # Annotations are evaluated there, and the builtin containers take no parameters yet.
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            notes = [node.returns, *(argument.annotation for argument in node.args.args)]
            assert all(note is None or isinstance(note, ast.Name | ast.Constant) for note in notes), node.name


def test_a_wrong_python_says_which_is_needed(demanding: Path, fakes: Fakes) -> None:
    fakes.add("python3.98", "exit 127")  # A shim that leads nowhere.
    fakes.add("apt-cache", 'test "$2" = python3.97')
    done = call(demanding, fakes.folder, "setup")
    assert done.returncode == 1
    assert re.search(
        r"^error: Burnish needs Python 3\.97 to 3\.98, and this is Python 3\.\d+\.\d+\.$", done.stderr, re.M
    )
    assert "sudo apt-get install python3.97 python3.97-venv" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_better_python_on_the_path_takes_over(demanding: Path, fakes: Fakes) -> None:
    fakes.add("python3.97", 'test "$1" = -c || echo "took over: $*"')
    done = call(demanding, fakes.folder, "test", "-k", "two words")
    assert done.returncode == 0
    assert done.stdout.strip() == f"took over: {demanding.resolve() / 'installer' / 'dev.py'} test -k two words"


def test_the_one_that_took_over_does_not_look_further(demanding: Path, fakes: Fakes) -> None:
    fakes.add("python3.97", f'test "$1" = -c || exec "{sys.executable}" "$@"')
    done = call(demanding, fakes.folder, "setup")
    assert done.returncode == 1
    assert "Burnish needs Python" in done.stderr
    assert len(fakes.calls("python3.97 /")) == 1


def test_the_environments_own_python_hands_over_to_the_one_that_made_it(tmp_path: Path) -> None:
    # Or else renewing .venv would pull the floor from under the interpreter that does it.
    project = tmp_path / "project"
    shutil.copytree(ROOT / "installer", project / "installer", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", project)
    (project / "installer" / "commands.py").write_text(
        "import sys\ndef main(arguments):\n    print(sys.prefix == sys.base_prefix, arguments)\n    return 7\n"
    )
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(project / ".venv")], check=True)
    inner = project / ".venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    command = [str(inner), str(project / "installer" / "dev.py"), "setup"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (7, "True ['setup']")
