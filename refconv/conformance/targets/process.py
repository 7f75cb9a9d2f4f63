"""Another process, watched from outside: its end, its time, its memory, what it says.

Linux is needed, for /proc and for pidfds.
"""

import fcntl
import linecache
import os
import re
import select
import signal
import sysconfig
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress

from refconv.conformance.targets.base import Refusal

__all__ = ["Died", "Log", "WatchedProcess"]

# How often a process that is being waited for is looked at, in seconds.
_GLANCE = 0.05
_LONGEST_GLANCE = 0.25
# How long to wait for what takes no time, unless a target has got at what is not its own: the end of a process that has
# closed its files, a last word about where it hangs.
PATIENCE = 1.0

_PAGE = os.sysconf("SC_PAGE_SIZE")
_HALF_OF_THE_MEMORY = os.sysconf("SC_PHYS_PAGES") * _PAGE // 2


class Died(Exception):
    """A process has ended, or had to be ended. The argument is a `Refusal` that says why."""

    @property
    def refusal(self) -> Refusal:
        """What to report."""
        return self.args[0]


class Log:
    """What a process prints, on stdout and on stderr: a file without a name."""

    # Of more than that, in bytes, the beginning is thrown away: a target that prints all the time must not fill a disk.
    _MOST = 1 << 20

    def __init__(self):
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        # Whoever writes, writes to the end, also after the file was made shorter.
        fcntl.fcntl(self._file, fcntl.F_SETFL, os.O_APPEND)
        self._mark = 0

    def fileno(self) -> int:
        """The file's descriptor, to be inherited."""
        return self._file.fileno()

    def mark(self):
        """Forget what has been said so far."""
        self.trim()
        self._mark = os.fstat(self.fileno()).st_size

    def trim(self):
        """Throw away what is too much."""
        if os.fstat(self.fileno()).st_size > self._MOST:
            os.ftruncate(self.fileno(), 0)
            self._mark = 0

    def text(self) -> str:
        """What was said since the mark."""
        return os.pread(self.fileno(), 2 * self._MOST, self._mark).decode(errors="replace")

    def close(self):
        """Give the file back."""
        self._file.close()


class WatchedProcess:
    """A process that may do anything: crash, hang, fill memory, print, leave children behind.

    Parameters
    ----------
    id : int
        The process's; also of its process group. It must not be reaped by anybody else.
    log : Log
        What it prints goes there.
    sources : list of int
        Descriptors to read its answers from.
    """

    def __init__(self, id: int, log: Log, sources: list[int]):
        self._id = id
        self._log = log
        self._pidfd = os.pidfd_open(id)
        self._poll = select.poll()
        # Its end too: a child of the process may hold the other end of a source open when it has long ended.
        for descriptor in (*sources, self._pidfd):
            self._poll.register(descriptor, select.POLLIN)
        self._next_look_at_memory = 0.0
        self._status: int | None = None

    def wait(
        self, seconds: float, memory_limit: int | None = None, progressing: Callable[[], bool] = lambda: False
    ) -> set[int]:
        """Wait until something can be read, or the process has ended.

        Parameters
        ----------
        seconds : float
            How long; may be infinite. Time in which this process does not run does not count.
        memory_limit : int, optional
            In bytes; by default half of the machine's memory.
        progressing : callable, optional
            Called now and then; returns whether to begin to wait anew.

        Returns
        -------
        set of int
            The sources that can be read; empty if the process has ended.

        Raises
        ------
        Died
            If nothing happens in time, or there is too much memory. Then the process has been ended.
        """
        left = seconds
        while True:
            began = time.monotonic()
            ready = self._poll.poll(1000 * max(0, min(left, _GLANCE)))
            if ready:
                return {descriptor for descriptor, _ in ready} - {self._pidfd}
            self._log.trim()
            self.check_memory(memory_limit)
            if progressing():
                left = seconds
            elif left <= 0:
                raise self._interrupted("timeout", "timeout", f"no result after {seconds:g} s")
            else:
                # If this took much longer, nobody ran: the machine was asleep, or everything was stopped for a while.
                left -= min(time.monotonic() - began, _LONGEST_GLANCE)

    def check_memory(self, limit: int | None):
        """Raise `Died` if there is too much memory. Looks not more often than makes sense.

        What counts is memory that is really in use and belongs to the process alone (its anonymous resident pages). A
        limit that the system enforces (``RLIMIT_AS``) would be on addresses, of which many libraries reserve far more
        than they ever touch; and what comes of it is a failed ``malloc`` in somebody else's code, which cannot be told
        from a crash.
        """
        now = time.monotonic()
        if now < self._next_look_at_memory:
            return
        self._next_look_at_memory = now + _GLANCE
        try:
            with open(f"/proc/{self._id}/statm") as statm:
                _, resident, shared, *_ = map(int, statm.read().split())
        except (OSError, ValueError):
            return  # it has ended
        used, limit = (resident - shared) * _PAGE, limit or _HALF_OF_THE_MEMORY
        if used > limit:
            text = f"the process had {_megabytes(used)} of memory, and {_megabytes(limit)} is the limit"
            raise self._interrupted("memory", "memory limit", text)

    def ended(self) -> Died:
        """Return why there is no answer, when it has become clear that there will be none."""
        if self.has_ended():
            said = self._log.text()
            return Died(self.refusal_for_end(self.kill(), said))
        self.kill()
        return Died(Refusal("crash", "disconnected", "the process has closed or garbled its connection to the suite"))

    def has_ended(self) -> bool:
        """Whether the process ends within `PATIENCE`."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(1000 * PATIENCE))

    def kill(self) -> int:
        """End the process and its children, and return its exit status as `subprocess` has it."""
        if self._status is None:
            self._status = self._end()
        return self._status

    def _end(self) -> int:
        for end in (os.killpg, os.kill):  # the second in case that it has left its group
            with suppress(ProcessLookupError):
                end(self._id, signal.SIGKILL)
        status = self._reap()
        os.close(self._pidfd)
        return status

    def refusal_for_end(self, status: int, said: str) -> Refusal:
        """Return what an exit status and the output before it mean for a call."""
        place = _place_in(said)
        if status >= 0:
            return Refusal("exit", f"exit status {status}", _with_output("the process has exited", said), place)
        name = _signal_name(-status)
        what = f"the process was killed by a signal: {signal.strsignal(-status) or name}"
        if status == -signal.SIGKILL:
            what += " (by the system, if memory was short)"
        return Refusal("crash", name, _with_output(what, said), place)

    def _reap(self) -> int:
        """Wait for the end, close what belongs to the process, and return its exit status."""
        raise NotImplementedError

    def _interrupted(self, kind: str, type: str, text: str) -> Died:
        # An abort, on which faulthandler writes down where it is, also if that is not in Python code.
        os.kill(self._id, signal.SIGABRT)
        self.has_ended()
        place = _place_in(self._log.text())
        self.kill()
        return Died(Refusal(kind, type, text, place))


def _megabytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _with_output(what: str, said: str) -> str:
    lines = said.partition("Fatal Python error:")[0].strip().splitlines()[-10:]
    return "\n".join([what, *(f"  | {line[:200]}" for line in lines)])


# As faulthandler writes it, which `refconv.conformance.targets.worker` has enabled.
_TRACEBACK = re.compile(r"^Current thread [^\n]*\n((?:  File [^\n]*\n)+)", re.MULTILINE)
_FRAME = re.compile(r'  File "(.*)", line (\d+) in (.*)')
_STANDARD_LIBRARY = sysconfig.get_path("stdlib")


def _place_in(said: str) -> str:
    """Return where in its Python code a process was when it was killed, if it has said so."""
    traceback = _TRACEBACK.search(said)
    if traceback is None:
        return ""
    frames = [match.groups() for match in _FRAME.finditer(traceback[1])]
    # The innermost frame is often one of ctypes; whose call it was is more to the point.
    file, line, function = next((frame for frame in frames if not _is_standard(frame[0])), frames[0])
    return f"in {function}, {file}:{line}: {linecache.getline(file, int(line)).strip()}"


def _is_standard(file: str) -> bool:
    return file.startswith(_STANDARD_LIBRARY) and "site-packages" not in file
