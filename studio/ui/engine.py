"""What all windows of a process share: the plugins, the pool of workers, the cache. Built on a thread."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from studio.core.registry import Registry
from studio.jobs.pool import JobPool
from studio.jobs.share import PoolShare
from studio.locations import CACHE_LIMIT_VARIABLE, cache_folder, load_registry
from studio.session import Session
from studio.ui.tabs import TABS
from studio.workbench import Workbench

#: what the first furnished window needs; imported on the thread too
_NEEDED = ("studio.ui.desk", "studio.ui.commands")


class Engine:
    """Makes sessions, each with its own jobs on the shared pool.

    Parameters
    ----------
    worker_gigabytes
        Memory above which a worker is ended; 0 for no such limit.
    cache_gigabytes
        What the cache may take, unless the environment says it; 0 for the default.
    """

    def __init__(self, worker_gigabytes: int = 0, cache_gigabytes: int = 0) -> None:
        if cache_gigabytes:
            os.environ.setdefault(CACHE_LIMIT_VARIABLE, str(cache_gigabytes))
        self._registry: Registry = load_registry()
        self._root: Path = cache_folder()
        self.pool = JobPool(memory_limit=worker_gigabytes * 10**9 or None)
        self._sessions: list[Session] = []
        for name in _NEEDED:
            importlib.import_module(name)

    def warm(self) -> None:
        """Import what the tabs need, charts above all; a second of work for a thread, once the window is furnished."""
        for name in TABS.values():
            importlib.import_module(name.partition(":")[0])

    def session(self) -> Session:
        """Make a session without a model."""
        made = Session(Workbench(self._registry, PoolShare(self.pool), self._root))
        self._sessions.append(made)
        return made

    def end(self, session: Session) -> None:
        """Close a session; its jobs are stopped."""
        if session in self._sessions:
            self._sessions.remove(session)
            for job in session.work.pool.jobs:
                job.cancel()
            session.close()
            session.work.close()

    def close(self) -> None:
        """Close every session, then the pool."""
        for session in list(self._sessions):
            self.end(session)
        self.pool.close()
