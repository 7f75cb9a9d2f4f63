"""The parent's end of the worker processes: one process per home and thread count."""

import json
import os
import select
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.contenders import CONTENDERS

ROOT = Path(__file__).resolve().parent.parent
# Longest wait for an answer: the slowest contender's slowest layer takes about ten seconds.
PATIENCE_SECONDS = 120


class WorkerError(Exception):
    """A worker could not do what it was asked; the message says why."""


def child_environment(threads):
    """Return this process's environment with every thread pool set to `threads`, and refconv importable."""
    env = dict(os.environ)
    # Some machines set these for an old OpenBLAS; they slow a current NumPy down.
    env.pop("OPENBLAS_CORETYPE", None)
    env.pop("OPENBLAS_L2_SIZE", None)
    for pool in ("OMP", "OPENBLAS", "MKL"):
        env[f"{pool}_NUM_THREADS"] = str(threads)
    env["JAX_ENABLE_X64"] = "1"
    env["JAX_PLATFORMS"] = "cpu"
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH")]))
    return env


def child_cpus(threads):
    """Return the CPUs a child may use, the last ones: XLA sizes its thread pool by them."""
    return set(sorted(os.sched_getaffinity(0))[-threads:])


class _Process:
    """One worker process and the pipe to it."""

    def __init__(self, threads):
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=child_environment(threads),
            preexec_fn=lambda: os.sched_setaffinity(0, child_cpus(threads)),
            start_new_session=True,  # Ctrl-C reaches the parent alone, which then closes its children
        )

    @property
    def is_alive(self):
        return self._child.poll() is None

    def ask(self, request):
        """Send a request and return the answer."""
        try:
            self._child.stdin.write(json.dumps(request, default=asdict).encode() + b"\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            raise WorkerError(self._last_words()) from None
        if not select.select([self._child.stdout], [], [], PATIENCE_SECONDS)[0]:
            self.close()
            raise WorkerError(f"no answer within {PATIENCE_SECONDS} s")
        line = self._child.stdout.readline()
        if not line:
            raise WorkerError(self._last_words())
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer["ok"]

    def close(self):
        self._child.kill()
        self._child.wait()
        self._child.stdin.close()
        self._child.stdout.close()
        self._log.close()

    def _last_words(self):
        status = self._child.wait()
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return f"process ended with status {status}" + (f": {lines[-1]}" if lines else "")


class Team:
    """The worker processes for one thread count; a context manager, started as they are needed.

    Parameters
    ----------
    threads : int
    """

    def __init__(self, threads):
        self.threads = threads
        self._processes = {}

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        for process in self._processes.values():
            process.close()

    def ask(self, home, op, **arguments):
        """Have a method of `benchmarks.worker.Worker` run in the process called `home`; return what it returns."""
        process = self._processes.get(home)
        if process is None or not process.is_alive:
            process = self._processes[home] = _Process(self.threads)
        return process.ask({"op": op, **arguments})

    def versions(self, packages):
        """Return {package: version}, None where it is missing."""
        homes = {c.package: c.home for c in CONTENDERS.values() if c.package in packages}
        found = {}
        for package, home in homes.items():
            try:
                found[package] = self.ask(home, "installed", package=package)
            except WorkerError:  # its import brought the process down
                found[package] = None
        return found

    def release(self):
        """Have every process forget its entrants, and their memory."""
        for process in self._processes.values():
            if process.is_alive:
                process.ask({"op": "release"})
