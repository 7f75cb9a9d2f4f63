"""A target in a process of its own: whatever it does there, the suite goes on."""

import os
import weakref
from dataclasses import replace

import numpy as np

from refconv.conformance.profile import Profile
from refconv.conformance.targets.base import Invocation, Outcome, Refusal, Target, TargetError
from refconv.conformance.targets.memory import SharedMemory
from refconv.conformance.targets.messages import STAGES, Batch, Load, Loaded, NotLoaded
from refconv.conformance.targets.process import Died
from refconv.conformance.targets.supervisor import Supervisor
from refconv.conformance.targets.worker_process import WorkerProcess

__all__ = ["IsolatedTarget"]

# To import a large library takes seconds; on a busy machine, or the first time, much longer.
_SECONDS_TO_LOAD = 300


class IsolatedTarget(Target):
    """A target that runs in a worker process.

    A crash, an exit, a call that takes too much time or memory becomes the `Refusal` of the invocation that it happened
    in. Then another worker takes over.

    Parameters
    ----------
    name : str
        What `load_target` is given, in the worker.
    profile : Profile, optional
        What the target supports and claims; by default what the loaded target says itself.

    Raises
    ------
    TargetError
        If the target cannot be loaded; also if loading it crashes.
    """

    def __init__(self, name: str, profile: Profile | None = None):
        self._operands, self._results = SharedMemory.create(), SharedMemory.create()
        self._crew = _Crew([self._operands.descriptor, self._results.descriptor], Load(name, profile))
        weakref.finalize(self, self._crew.close)
        try:
            self._crew.worker()
        except Died as death:
            self._crew.disband()
            raise TargetError(_why_not_loaded(name, death.refusal)) from None
        super().__init__(self._crew.loaded.name, self._crew.loaded.profile)

    def outcomes(self, invocations: list[Invocation], *, reuse_memory: bool = False, threads: int = 1) -> list[Outcome]:
        """Make calls, as `Target.outcomes` does."""
        if not invocations:
            return []
        options = {"reuse_memory": reuse_memory, "threads": threads}
        self._operands.clear()
        self._results.clear()
        stages_place = self._results.put(np.zeros(len(invocations), np.uint8))
        stages = self._results.view(stages_place)
        moved = [replace(one, operands=one.operands.map(self._operands.put)) for one in invocations]
        try:
            worker = self._crew.worker()
            worker.send(Batch(moved, stages_place, options))
            outcomes = worker.receive(self.profile.time_limit, self.profile.memory_limit, _Changes(stages))
        except Died as death:
            at = _culprit(stages)
            refusal = replace(death.refusal, number=self._crew.calls + at + 1)
            self._crew.lose_worker()
            # What had been made before is lost with the worker.
            before = self.outcomes(invocations[:at], **options)
            return [*before, Outcome(refusal=refusal), *self.outcomes(invocations[at + 1 :], **options)]
        except BaseException:
            # Ctrl-C, above all. The answer that is due must not be taken for the next one.
            self._crew.disband()
            raise
        self._crew.calls += len(invocations)
        get = self._results.get
        return [replace(outcome, result=get(outcome.result), later=get(outcome.later)) for outcome in outcomes]

    def versions(self) -> dict[str, str]:
        """Version numbers to print in a report."""
        return self._crew.loaded.versions

    def definition(self, op: str) -> list[str]:
        """Code that defines the function, for reports."""
        return self._crew.loaded.definitions.get(op, [f"# {op} is a function of {self.name}"])

    def renew(self) -> bool:
        """Let a new worker take over."""
        self._crew.replace_worker()
        return True

    def close(self):
        """End the worker. It is started again if it is needed."""
        self._crew.close()


def _why_not_loaded(name: str, refusal: Refusal) -> str:
    if refusal.type == TargetError.__name__:
        return refusal.text
    return f"cannot load {name}: {refusal.type}: {refusal.text} {refusal.place}".rstrip()


class _Changes:
    """Whether any call has begun or ended since the last time that this was called."""

    def __init__(self, stages: np.ndarray):
        self._stages = stages
        self._seen = stages.tobytes()

    def __call__(self) -> bool:
        before, self._seen = self._seen, self._stages.tobytes()
        return before != self._seen


def _culprit(stages: np.ndarray) -> int:
    """Return which of the invocations a worker died of."""
    for stage in (STAGES["begun"], 0):  # if none was being made, the next is the one that cannot be made
        if stage in stages:
            return stages.tolist().index(stage)
    return len(stages) - 1


class _Crew:
    """The worker at work, from the first death on one in reserve, and the supervisor of both."""

    def __init__(self, memories: list[int], load: Load):
        self._memories = memories
        self._load = load
        self._owner = os.getpid()
        self._supervisor: Supervisor | None = None
        self._worker: WorkerProcess | None = None
        self._reserve: WorkerProcess | None = None
        self._mortal = False
        #: That the worker has made.
        self.calls = 0
        self.loaded: Loaded | None = None

    def worker(self) -> WorkerProcess:
        """Return a worker with the target loaded; raise `Died` if there cannot be one."""
        if self._worker is None:
            self._worker, self._reserve = self._reserve or self._recruit(), None
            self.loaded = self._answer_to_load()
            if self._mortal:
                self._reserve = self._recruit()  # which loads the target while this one works
        return self._worker

    def _answer_to_load(self) -> Loaded:
        try:
            answer = self._worker.receive(_SECONDS_TO_LOAD)
            if isinstance(answer, NotLoaded):
                self._worker.kill()
                raise Died(Refusal("exception", TargetError.__name__, answer.reason))
        except Died:
            self.lose_worker()
            raise
        return answer

    def lose_worker(self):
        """The worker has died."""
        self._worker = None
        self._mortal = True
        self.calls = 0

    def replace_worker(self):
        """End the worker, so that the next one has made no calls."""
        if self._worker is not None:
            self._worker.kill()
            self.lose_worker()

    def close(self):
        """Let the worker end, then all processes."""
        if self._worker is not None and os.getpid() == self._owner:
            self._worker.let_end()
        self.disband()

    def disband(self):
        """End all processes at once."""
        if self._supervisor is None or os.getpid() != self._owner:
            return
        for worker in (self._worker, self._reserve):
            if worker is not None:
                worker.kill()
        self._supervisor.close()
        self._worker = self._reserve = self._supervisor = None

    def _recruit(self) -> WorkerProcess:
        if self._supervisor is None or not self._supervisor.is_alive():
            self._supervisor = Supervisor()
        worker = WorkerProcess(self._supervisor, self._memories)
        worker.send(self._load)
        return worker
