"""Turn the output of a failed pip, venv or apt-get into one sentence and a remedy."""

import re
from pathlib import Path

from installer.console import Problem

# The first pattern found in the output tells the cause; the order matters, since a missing network also makes pip say
# that no version was found.
CAUSES: tuple[tuple[str, str, str], ...] = (
    (
        r"No space left on device|Errno 28|Disk quota exceeded|not enough space on the disk|ENOSPC",
        "the disk is full",
        "free some space (the environment takes about 2 GB, and pip needs as much for a while in its temporary "
        "folder, which TMPDIR sets) and repeat this command",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        "the package index was reached, but its certificate is not trusted here",
        "point PIP_CERT at the certificate bundle of your network (its administrator knows it) and repeat this command",
    ),
    (
        r"Proxy Authentication Required|ProxyError|Cannot connect to proxy",
        "the proxy did not let pip through",
        "check HTTPS_PROXY and repeat this command",
    ),
    (
        r"NewConnectionError|name resolution|ConnectTimeout|ReadTimeout|Network is unreachable|Connection refused"
        r"|Max retries exceeded|Could not resolve|ConnectionResetError|Connection timed out|getaddrinfo failed"
        r"|Temporary failure resolving|Could not connect to|Cannot initiate the connection|dns error",
        "the package index cannot be reached",
        "check the network (behind a proxy set HTTPS_PROXY, with a mirror set PIP_INDEX_URL) and repeat this command",
    ),
    (
        r"DO NOT MATCH THE HASHES",
        "a downloaded package is not the one that the lock file names, so it was not installed",
        "set PIP_NO_CACHE_DIR=1 and repeat this command; if it stays, the package index in use serves other files",
    ),
    (
        r"No matching distribution found for (?P<what>\S+)",
        "the package index offers no prebuilt {what} for this system and this Python",
        "use 64-bit Linux, Windows or an Apple-silicon Mac, with an ordinary CPython; a mirror may lack it",
    ),
    (
        r"Read-only file system|Permission denied|Errno 13|Access is denied",
        "the environment cannot be written",
        "make sure that you own the folder and that no program of it is running, and repeat this command",
    ),
    (
        r"Could not get lock|Unable to acquire the dpkg frontend lock",
        "another program is installing packages",
        "wait until it has finished and repeat this command",
    ),
    (
        r"ensurepip is not available|No module named '?ensurepip",
        "this Python comes without pip",
        "install its venv package (on Debian and Ubuntu: sudo apt-get install python3-venv) and repeat this command",
    ),
)


def explain(output: str, doing: str, log: Path | None = None) -> Problem:
    """Find the cause of a failure.

    Parameters
    ----------
    output : str
        Everything that the failed command printed.
    doing : str
        What was tried, as in "installing the packages".
    log : Path, optional
        Where the whole output is kept.

    Returns
    -------
    Problem
        To be raised.
    """
    for pattern, message, remedy in CAUSES:
        found = re.search(pattern, output)
        if found:
            return Problem(f"{doing} failed: {message.format(**found.groupdict())}.", remedy + ".")
    where = f"read {log} for the rest, " if log else ""
    return Problem(f"{doing} failed: {_last_words(output)}", f"{where}put it right and repeat this command.")


def _last_words(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(ERROR|E|error|Error)\b\s*:", line)]
    chosen = (errors or lines or ["it printed nothing."])[-1]
    return re.sub(r"^(ERROR|E|error|Error)\s*:\s*", "", chosen)[:200].rstrip(".") + "."
