"""Keep the libraries' chatter and temporary files where they belong."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def quiet(scratch: Path) -> Iterator[None]:
    """Run a library's code in silence, with its temporary files in `scratch`.

    ONNX Runtime's quantization prints, logs to the root logger (which installs a handler) and writes
    to the system's temporary folder; its transformers package adds itself to ``sys.path``. All of
    that is process-wide, so this is for a worker process, where one pass runs at a time.
    """
    folder, disabled = tempfile.tempdir, logging.root.manager.disable
    handlers, path = list(logging.root.handlers), list(sys.path)
    tempfile.tempdir = str(scratch)
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        tempfile.tempdir = folder
        logging.disable(disabled)
        logging.root.handlers[:] = handlers
        sys.path[:] = path


@contextlib.contextmanager
def scratch_folder(workdir: Path) -> Iterator[Path]:
    """Give a folder inside `workdir` that is gone afterwards, whatever happens."""
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=workdir, ignore_cleanup_errors=True) as name:
        yield Path(name)
