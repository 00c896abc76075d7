"""Every failure becomes one sentence with a remedy."""

from pathlib import Path

import pytest

from installer.diagnosis import CAUSES, explain

RETRY = "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)': /simple/x/\n"
NOT_FOUND = "ERROR: No matching distribution found for onnxruntime==1.0\n"


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n", "disk is full"),
        (RETRY + NOT_FOUND, "cannot be reached"),
        (NOT_FOUND, "offers no prebuilt onnxruntime==1.0 for this system"),
        ("Err:1 Temporary failure resolving 'mirror'\nE: Unable to locate package x\n", "cannot be reached"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n", "not the one that the lock"),
        ("SSLError(SSLCertVerificationError('[SSL: CERTIFICATE_VERIFY_FAILED]'))\n" + NOT_FOUND, "not trusted"),
        ("ProxyError('Cannot connect to proxy.', OSError('407'))\n" + RETRY, "proxy did not let"),
        ("PermissionError: [Errno 13] Permission denied: '/x'\n", "cannot be written"),
        ("E: Could not get lock /var/lib/dpkg/lock-frontend.\n", "another program is installing"),
        ("Error: Command '[...]' ... No module named ensurepip\n", "comes without pip"),
        ("some noise\nERROR: the very reason\nmore noise\n", "the very reason."),
        ("", "it printed nothing."),
    ],
)
def test_cause(output: str, words: str) -> None:
    problem = explain(output, "installing")
    assert problem.message.startswith("installing failed: ")
    assert words in problem.message
    assert "\n" not in problem.message
    assert problem.remedy.endswith(".")


def test_an_unknown_cause_names_the_log() -> None:
    assert "setup.log" in explain("what?", "installing", Path("setup.log")).remedy


def test_sentences_are_whole() -> None:
    for _, message, remedy in CAUSES:
        assert not message.endswith(".")
        assert not remedy.endswith(".")
        assert "repeat" in remedy or "use" in remedy
