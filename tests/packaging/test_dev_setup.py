"""``dev.py setup`` from beginning to end on a tiny project, with a real pip and no network."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT, Fakes, add_wheel

PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "burnish"
version = "0.1"
requires-python = ">=3.11,<3.14"
"""
BACKEND = '''\
"""The smallest build backend that makes an editable wheel with a command."""
import zipfile


def build_editable(folder, config_settings=None, metadata_directory=None):
    name, info = "burnish-0.1-py3-none-any.whl", "burnish-0.1.dist-info"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("burnish_tiny.py", "def main():\\n    import onedep\\n    print('tiny', onedep.VALUE)\\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: burnish\\nVersion: 0.1\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\\nburnish = burnish_tiny:main\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
'''
POLICY = 'for name; do test "$name" = policy || printf "%s:\\n  Installed: (none)\\n  Candidate: 1.0\\n" "$name"; done'


@dataclass
class Tiny:
    """A tiny project, the wheels that it may use, and the environment to call its ``dev.py`` in."""

    root: Path
    wheels: Path
    env: dict[str, str]

    @property
    def lock(self) -> Path:
        return self.root / "installer" / "requirements.lock"

    def setup(self, **env: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(), env={**self.env, **env}, capture_output=True, text=True, check=False, encoding="utf-8"
        )

    def command(self) -> list[str]:
        return [sys.executable, str(self.root / "installer" / "dev.py"), "setup"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, pip_wheel: Path) -> Tiny:
    """Set up a tiny project once; the tests change it and put it right again."""
    if os.name != "posix":
        pytest.skip("the stand-ins are shell scripts")
    top = tmp_path_factory.mktemp("tiny")
    root, wheels, fakes = top / "my chéckout", top / "wheels", Fakes(top / "fakes")
    shutil.copytree(ROOT / "installer", root / "installer", ignore=shutil.ignore_patterns("__pycache__", "*.lock"))
    wheels.mkdir()
    (root / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    (root / "backend.py").write_text(BACKEND, encoding="utf-8")
    # Where the Python of the tests has no ensurepip, as on a bare Debian, setup asks apt for pip.
    fakes.add("apt-cache", POLICY)
    fakes.add("apt-get", 'case "$*" in *download*) echo deb > pip.deb;; esac')
    fakes.add("dpkg-deb", f'd="$3/usr/share/python-wheels"; mkdir -p "$d"; cp "{pip_wheel}" "$d"')
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    env |= {"PATH": f"{fakes.folder}{os.pathsep}{env['PATH']}", "BURNISH_NO_APT": "1"}
    env |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "LC_ALL": "C"}
    tiny = Tiny(root, wheels, env)
    tiny.lock.write_text(add_wheel(wheels, "onedep", "1.0", {"onedep.py": "VALUE = 1\n"}), encoding="utf-8")
    done = tiny.setup()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("ready: ")
    return tiny


def test_the_command_works_afterwards(tiny: Tiny) -> None:
    done = subprocess.run([str(tiny.root / ".venv" / "bin" / "burnish")], capture_output=True, text=True, check=True)
    assert done.stdout == "tiny 1\n"


def test_a_second_time_does_nothing(tiny: Tiny) -> None:
    venv = tiny.root / ".venv"
    before = {path: path.stat().st_mtime_ns for path in [venv, *venv.iterdir()]}
    done = tiny.setup()
    assert done.returncode == 0
    assert "installing" not in done.stdout
    assert before == {path: path.stat().st_mtime_ns for path in [venv, *venv.iterdir()]}


def test_a_new_pin_is_installed_in_place(tiny: Tiny) -> None:
    kept = tiny.root / ".venv" / "kept"
    kept.touch()
    tiny.lock.write_text(add_wheel(tiny.wheels, "onedep", "2.0", {"onedep.py": "VALUE = 2\n"}), encoding="utf-8")
    assert tiny.setup().returncode == 0
    done = subprocess.run([str(tiny.root / ".venv" / "bin" / "burnish")], capture_output=True, text=True, check=True)
    assert done.stdout == "tiny 2\n"
    assert kept.exists()


def failure(tiny: Tiny, lock: str, **env: str) -> str:
    """Set up with another lock file; returns what was complained about."""
    before = tiny.lock.read_text(encoding="utf-8")
    tiny.lock.write_text(lock, encoding="utf-8")
    try:
        done = tiny.setup(**env)
    finally:
        tiny.lock.write_text(before, encoding="utf-8")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    message, remedy = done.stderr.splitlines()
    assert message.startswith("error: installing the packages failed: ")
    assert remedy.startswith("  what to do: ")
    return message


def test_a_package_with_another_hash_is_refused(tiny: Tiny) -> None:
    right = add_wheel(tiny.wheels, "twodep", "1.0", {"twodep.py": ""})
    assert "not the one that the lock file names" in failure(tiny, right[:-65] + "0" * 64 + "\n")
    assert not list((tiny.root / ".venv").rglob("twodep*"))


def test_a_package_without_hash_is_refused(tiny: Tiny) -> None:
    right = add_wheel(tiny.wheels, "twodep", "1.0", {"twodep.py": ""})
    assert "hash" in failure(tiny, right.split(" ")[0] + "\n").lower()


def test_no_network(tiny: Tiny) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # Bound and not listening: a connection is refused.
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/simple"
        lock = "absent==1.0 --hash=sha256:" + "0" * 64 + "\n"
        assert "cannot be reached" in failure(tiny, lock, PIP_NO_INDEX="0", PIP_INDEX_URL=url)
    assert tiny.setup().returncode == 0


def test_ctrl_c(tiny: Tiny) -> None:
    lock = tiny.lock.read_text(encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        tiny.lock.write_text("absent==1.0 --hash=sha256:" + "0" * 64 + "\n", encoding="utf-8")
        process = subprocess.Popen(
            tiny.command(),
            env={**tiny.env, "PIP_NO_INDEX": "0", "PIP_INDEX_URL": url, "PIP_DEFAULT_TIMEOUT": "120"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        connection, _ = silent.accept()  # Now pip waits for an answer that never comes.
        with connection:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
            connection.settimeout(30)
            while connection.recv(65536):  # Ends only when pip has ended too.
                pass
    tiny.lock.write_text(lock, encoding="utf-8")
    assert process.returncode == 130
    assert err.startswith("error: stopped.\n  what to do: repeat")
    assert "Traceback" not in out + err
    done = tiny.setup()
    assert done.returncode == 0
    assert "not sound" not in done.stdout
