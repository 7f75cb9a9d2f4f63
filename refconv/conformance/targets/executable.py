"""A target that is a program, in any language: it reads one file and writes another. docs/protocol.md describes these.

It is a process of its own anyway, and so is not put into a worker.
"""

import os
import shlex
import shutil
import subprocess
import tempfile
import weakref
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from refconv.conformance.profile import Profile
from refconv.conformance.targets.base import Invocation, Outcome, Refusal, Target, TargetError
from refconv.conformance.targets.conventions import call_of, result_from_target, values_for_target
from refconv.conformance.targets.function import array_of_numbers
from refconv.conformance.targets.npz import NotExpressible, read_result, write_call
from refconv.conformance.targets.process import Died, Log, WatchedProcess
from refconv.testing.calls import SIGNATURES

__all__ = ["ExecutableTarget"]

#: The exit status of a program that has been called wrongly.
REFUSED = 1


class ExecutableTarget(Target):
    """A program.

    Parameters
    ----------
    name : str
        ``exec:`` and the program with its arguments, as for a shell. If the last of these is ``-``, it is started once
        and told the names of files on its standard input; otherwise it is started for each call, with these names as
        its last arguments.
    profile : Profile, optional

    Raises
    ------
    TargetError
        ``there is no program './conv'``
    """

    def __init__(self, name: str, profile: Profile | None = None):
        super().__init__(name, _possible(profile or Profile()))
        self._command = shlex.split(name.removeprefix("exec:"))
        if not self._command or shutil.which(self._command[0]) is None:
            raise TargetError(f"{name}: there is no program {' '.join(self._command[:1])!r}")
        self._stays = self._command[-1] == "-"
        # One or none.
        self._running: list[_Program] = []
        self._calls = 0  # of the one that is running
        directory = Path(tempfile.mkdtemp(prefix="refconv-"))
        self._in, self._out = directory / "in.npz", directory / "out.npy"
        self._log = Log()
        # Scripts that reproduce a failure do not close anything.
        self._clean_up = weakref.finalize(self, _clean_up, self._running, self._log, directory)

    def outcomes(
        self,
        invocations: list[Invocation],
        *,
        reuse_memory: bool = False,  # noqa: ARG002
        threads: int = 1,  # noqa: ARG002
    ) -> list[Outcome]:
        """Make calls, one after the other: no memory is shared with the program, so that nothing else would matter."""
        return [self._outcome(invocation) for invocation in invocations]

    def function(self, op: str):
        """Return the program as a function with the plain signature of `op`; a ValueError if it refuses the call."""

        def call_the_program(*values):
            outcome = self._outcome(Invocation(*call_of(op, values)))
            if outcome.refusal is not None:
                raise ValueError(str(outcome.refusal))
            return outcome.result

        return call_the_program

    def definition(self, op: str) -> list[str]:
        """Code that defines the function, for reports."""
        return [
            "from refconv.conformance.targets.load import load_target",
            f"{op} = load_target({self.name!r}).function({op!r})",
        ]

    def renew(self) -> bool:
        """End the program, so that the next call starts another one."""
        _end(self._running)
        return self._stays

    def close(self):
        """End the program and delete the files."""
        self._clean_up()

    def _outcome(self, invocation: Invocation) -> Outcome:
        call, operands = invocation.call, invocation.operands
        arrays, arguments = values_for_target(call, operands, self.profile)
        values = dict(zip(SIGNATURES[call.op], arguments(arrays), strict=True))
        self._out.unlink(missing_ok=True)
        try:
            write_call(self._in, call, arrays, values.get("input_size", values.get("weight_size", ())))
        except NotExpressible as error:
            return _refused("exception", "ValueError", f"not a call that a program can be given: {error}")
        refusal = self._refusal()
        if refusal is not None:
            return Outcome(refusal=refusal)
        try:
            result = array_of_numbers(read_result(self._out, operands.dtype))
        except FileNotFoundError:
            return _refused("not an array", "no file", "the program has not written OUT.npy")
        except Exception as error:
            return _refused("not an array", type(error).__name__, f"OUT.npy cannot be read: {error}")
        return Outcome(result_from_target(call, result, self.profile))

    def _refusal(self) -> Refusal | None:
        """Let the program do its work; return why it has not done it."""
        self._log.mark()
        files = [str(self._in), str(self._out)]
        limits = self.profile.time_limit, self.profile.memory_limit
        try:
            if not self._stays:
                self._running.append(_Program([*self._command, *files], self._log))
                self._running[0].finish(*limits)
                self._running.clear()
                return None
            if not self._running:
                self._running.append(_Program(self._command, self._log, answers=True))
                self._calls = 0
            self._calls += 1
            answer = self._running[0].ask(files, *limits)
        except Died as death:
            self._running.clear()
            return replace(death.refusal, number=self._calls)
        except BaseException:  # Ctrl-C, above all
            _end(self._running)
            raise
        return None if answer == "ok" else _refused_by_program(answer)


def _clean_up(running: list["_Program"], log: Log, directory: Path):
    _end(running)
    log.close()
    shutil.rmtree(directory, ignore_errors=True)


def _end(running: list["_Program"]):
    while running:
        running.pop().kill()


def _refused(kind: str, type: str, text: str) -> Outcome:
    return Outcome(refusal=Refusal(kind, type, text, bases=(type,)))


def _refused_by_program(why: str) -> Refusal:
    # As good as a ValueError, which is what a function in Python would raise.
    return Refusal("exception", "ValueError", why, bases=("ValueError",))


def _possible(profile: Profile) -> Profile:
    """A profile with what this way to call a target settles."""
    settled = {
        "views": "operands travel in files",
        "negative_strides": "operands travel in files",
        "threads": "a program makes one call at a time",
    }
    return replace(profile, padding="pairs", unsupported={**settled, **profile.unsupported})


class _Program(WatchedProcess):
    """A running program.

    Parameters
    ----------
    command : list of str
    log : Log
    answers : bool, default False
        Whether it is asked on its standard input and answers on its standard output.
    """

    def __init__(self, command: list[str], log: Log, *, answers: bool = False):
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        self._process = subprocess.Popen(
            command,
            stdin=pipe if answers else nothing,
            stdout=pipe if answers else log,
            stderr=log,
            start_new_session=True,
        )
        super().__init__(self._process.pid, log, [self._process.stdout.fileno()] if answers else [])

    def finish(self, seconds: float, memory_limit: int | None):
        """Wait for the end; raise `Died` unless the exit status is 0."""
        self.wait(seconds, memory_limit)
        status = self.kill()
        if status != 0:
            raise Died(self.refusal_for_end(status, self._log.text()))

    def ask(self, lines: list[str], seconds: float, memory_limit: int | None) -> str:
        """Write lines and return the line that comes back; raise `Died` if none does."""
        with suppress(BrokenPipeError):
            self._process.stdin.write("".join(f"{line}\n" for line in lines).encode())
            self._process.stdin.flush()
        answer = b""
        while not answer.endswith(b"\n"):
            if not self.wait(seconds, memory_limit):
                raise self.ended()
            part = os.read(self._process.stdout.fileno(), 1 << 16)
            if not part:
                raise self.ended()
            answer += part
        return answer.decode(errors="replace").strip()

    def refusal_for_end(self, status: int, said: str) -> Refusal:
        """See `WatchedProcess`; also knows the status of a refused call."""
        if status == REFUSED:
            return _refused_by_program(said.strip() or "exit status 1")
        return super().refusal_for_end(status, said)

    def _reap(self) -> int:
        status = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        return status
