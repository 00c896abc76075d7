"""A session's share of a pool: it sees, and stops, only its own jobs."""

from __future__ import annotations

from typing import Any

from studio.jobs.job import Job
from studio.jobs.pool import JobPool


class PoolShare(JobPool):
    """Runs jobs on a pool that others use too.

    Parameters
    ----------
    pool
        Where the jobs run; closed by its maker.
    """

    def __init__(self, pool: JobPool) -> None:
        self._pool = pool
        self._own: set[str] = set()

    @property
    def jobs(self) -> list[Job]:
        """The jobs of this share that run and those that wait, in this order."""
        return [job for job in self._pool.jobs if job.id in self._own]

    def submit(self, task: str, payload: dict[str, Any], **terms: Any) -> Job:
        """Queue a job, see `JobPool.submit`."""
        job = self._pool.submit(task, payload, **terms)
        self._own.add(job.id)
        return job

    def close(self) -> None:
        """Cancel the jobs of this share; the pool goes on."""
        for job in self.jobs:
            job.cancel()
