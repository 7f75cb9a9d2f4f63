"""A worker process, seen from the suite: what it is asked, what it answers."""

import pickle
import signal
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from refconv.conformance.targets.process import PATIENCE, Log, WatchedProcess
from refconv.conformance.targets.supervisor import Supervisor

__all__ = ["WorkerProcess"]


class WorkerProcess(WatchedProcess):
    """One worker process.

    Parameters
    ----------
    supervisor : Supervisor
    memories : list of int
        Descriptors of the shared memory.
    """

    def __init__(self, supervisor: Supervisor, memories: list[int]):
        self._supervisor = supervisor
        log = Log()
        ours, theirs = socket.socketpair()
        with theirs:
            id = supervisor.fork([theirs.fileno(), log.fileno(), *memories])
        # A message comes in one piece. This is for garbage, which would be waited for the rest of.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", int(PATIENCE), 0))
        self._connection = Connection(ours.detach())
        super().__init__(id, log, [self._connection.fileno()])

    def send(self, message: Any):
        """Ask for something."""
        self._log.mark()
        # Whether somebody is still there will be seen when there is no answer.
        with suppress(OSError):
            self._connection.send_bytes(pickle.dumps(message))

    def receive(
        self, seconds: float, memory_limit: int | None = None, progressing: Callable[[], bool] = lambda: False
    ) -> Any:
        """Return the answer; for the parameters see `WatchedProcess.wait`.

        Raises
        ------
        Died
            If there is none. Then the process has ended.
        """
        if not self.wait(seconds, memory_limit, progressing):
            raise self.ended()
        try:
            answer = self._connection.recv()
        except Exception:  # the other end is closed, or what came is no message
            raise self.ended() from None
        self.check_memory(memory_limit)
        return answer

    def let_end(self):
        """Let the process end in its own way, if that is a short one."""
        self._connection.close()
        self.has_ended()

    def _reap(self) -> int:
        self._connection.close()
        self._log.close()
        try:
            return self._supervisor.status(self._id)
        except ConnectionError:  # the supervisor is dead as well, and nobody knows more
            return -signal.SIGKILL
