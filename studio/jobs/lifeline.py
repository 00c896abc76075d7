"""A child must not outlive its parent, whatever either is doing.

Linux: the parent keeps the writing end of a pipe that carries nothing. The child asks the kernel to send
SIGKILL to its whole process group when that end closes (O_ASYNC, with F_SETOWN and F_SETSIG), which happens at
the latest when the parent is gone. No code of the child has to run, so a call that holds the interpreter's lock
dies too, and so do the grandchildren. PR_SET_PDEATHSIG would kill the child alone, often before the pipe closes,
and leave the grandchildren behind; it is the second choice, for a kernel that refuses the first.

Elsewhere on POSIX the worker's reader sees the end of its input (`studio.jobs.worker`); on Windows a job object
closes with its last handle (`studio.jobs.windows`).
"""

from __future__ import annotations

import os
import select
import signal
import sys

if sys.platform == "linux":
    import ctypes
    import fcntl

_PR_SET_PDEATHSIG = 1


def kill_own_group() -> None:
    """End this process at once, and what it started when it leads its own group."""
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def hold(fd: int, parent: int) -> None:
    """Tie this process group's life to the other end of a pipe.

    Parameters
    ----------
    fd
        The reading end, inherited from the parent; stays open for good.
    parent
        The parent's process id, to notice that it ended before this was called.
    """
    if sys.platform != "win32":
        os.set_inheritable(fd, False)
        if sys.platform == "linux":
            try:
                _kill_group_on_close(fd)
            except OSError:
                _kill_on_parent_death()
        poll = select.poll()
        poll.register(fd, 0)
        if poll.poll(0) or os.getppid() != parent:
            kill_own_group()


if sys.platform == "linux":

    def _kill_group_on_close(fd: int) -> None:
        if os.getpgrp() != os.getpid():
            raise OSError("not the leader of a process group")
        fcntl.fcntl(fd, fcntl.F_SETOWN, -os.getpid())
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)

    def _kill_on_parent_death() -> None:
        # The signal also comes when the thread that spawned the child ends: the pool's supervisor outlives its workers.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
