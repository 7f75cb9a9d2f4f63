"""The process that workers are forked from, and the way to start it.

To start Python and import NumPy takes a quarter of a second; a fork of a process that has done so takes two
milliseconds. That makes it bearable that a target crashes a thousand times. The supervisor runs no code but this:
a target is loaded by the worker after the fork, so no library has to survive one. It also knows its workers' exit
statuses, and it kills them when the process that it works for has ended, however that ended.
"""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import warnings

__all__ = ["Supervisor", "supervise"]

# What is asked for, as a letter and a number: a worker (F), or how a process has ended (W). The answer is a number.
_REQUEST = struct.Struct("<cq")
_ANSWER = struct.Struct("<q")

_PROGRAM = "import sys; sys.path[:] = sys.argv[2:]; from refconv.conformance.targets.worker import main; main()"


class Supervisor:
    """The supervisor, seen from the process that it works for."""

    def __init__(self):
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(theirs.fileno()), *sys.path],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # Ctrl-C is for the process that is in charge. What a target does to its session stays there, too.
                start_new_session=True,
            )

    def fork(self, descriptors: list[int]) -> int:
        """Start a worker that inherits descriptors, and return its process id."""
        socket.send_fds(self._control, [_REQUEST.pack(b"F", 0)], descriptors)
        return self._answer()

    def status(self, worker: int) -> int:
        """Wait for a worker to end; return its exit status, or minus the number of the signal that ended it."""
        self._control.sendall(_REQUEST.pack(b"W", worker))
        return self._answer()

    def is_alive(self) -> bool:
        """Whether it can be asked for anything."""
        return self._process.poll() is None

    def close(self):
        """End the supervisor and with it all workers."""
        self._control.close()
        self._process.wait()

    def _answer(self) -> int:
        answer = self._control.recv(_ANSWER.size, socket.MSG_WAITALL)
        if not answer:
            raise ConnectionError("the process that starts the workers has ended")
        return _ANSWER.unpack(answer)[0]


def supervise(control: socket.socket) -> list[int] | None:
    """Fork workers as they are asked for.

    Parameters
    ----------
    control : socket
        Where requests come from.

    Returns
    -------
    list of int, or None
        In a new worker: the descriptors that it is to use. In the supervisor: None, when there is nothing more to do.
    """
    workers = set()
    while True:
        request, descriptors, *_ = socket.recv_fds(control, _REQUEST.size, 8)
        if not request:
            break
        letter, worker = _REQUEST.unpack(request)
        if letter == b"F":
            with warnings.catch_warnings():
                # Python warns of the threads that NumPy's BLAS has. It ends them before a fork.
                warnings.simplefilter("ignore", DeprecationWarning)
                worker = os.fork()
            if worker == 0:
                os.setpgid(0, 0)
                return descriptors
            # Here too, so that it is done whichever comes first. The group is what can be killed as a whole.
            os.setpgid(worker, worker)
            workers.add(worker)
            for descriptor in descriptors:
                os.close(descriptor)
            answer = worker
        else:
            answer = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
            workers.remove(worker)
        control.sendall(_ANSWER.pack(answer))
    for worker in workers:
        for end in (os.killpg, os.kill):  # the second in case that it has left its group
            with contextlib.suppress(ProcessLookupError):
                end(worker, signal.SIGKILL)
    return None
