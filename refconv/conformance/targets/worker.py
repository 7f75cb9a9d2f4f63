"""What happens in a worker process: a target is loaded there, and makes the calls that it is asked to make.

Nothing of the conversation goes through stdin or stdout, which are the target's.
"""

import contextlib
import faulthandler
import os
import resource
import socket
import sys
from dataclasses import replace
from multiprocessing.connection import Connection

from refconv.conformance.targets.base import Outcome, Target, TargetError
from refconv.conformance.targets.load import load_target
from refconv.conformance.targets.memory import SharedMemory
from refconv.conformance.targets.messages import STAGES, Batch, Loaded, NotLoaded
from refconv.conformance.targets.supervisor import supervise

__all__ = ["main"]


def main():
    """Be a supervisor, and, in each process forked from it, a worker."""
    with socket.socket(fileno=int(sys.argv[1])) as control:
        descriptors = supervise(control)
    if descriptors is not None:
        connection, log, operands, results = descriptors
        _settle_down(log)
        # EOFError: the suite has nothing more to say.
        with Connection(connection) as conversation, contextlib.suppress(EOFError, ConnectionError):
            _work(conversation, SharedMemory(operands), SharedMemory(results))


def _settle_down(log: int):
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    # What was printed before a crash is to be seen.
    sys.stdout.reconfigure(line_buffering=True)
    sys.argv = [""]
    faulthandler.enable(2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    # When memory is short, better this process is killed than any other.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as adjustment:
        adjustment.write("1000")


def _work(conversation: Connection, operands: SharedMemory, results: SharedMemory):
    worker = os.getpid()
    try:
        target = load_target(*conversation.recv())
    except TargetError as error:
        conversation.send(NotLoaded(str(error)))
        return
    definitions = {op: target.definition(op) for op in target.profile.ops}
    # torch's version is a class of torch's, which the suite would have to import.
    versions = {package: str(version) for package, version in target.versions().items()}
    conversation.send(Loaded(target.name, target.profile, versions, definitions))
    while True:
        conversation.send(_made(target, conversation.recv(), operands, results, worker))


def _made(target: Target, batch: Batch, operands: SharedMemory, results: SharedMemory, worker: int) -> list[Outcome]:
    stages = results.view(batch.stages)
    results.go_behind(batch.stages)

    def end_if_child():
        # Of a child that the target has made and let come back, before it writes to the memory that both have.
        if os.getpid() != worker:
            os._exit(0)

    def note(position: int, stage: str):
        end_if_child()
        stages[position] = STAGES[stage]

    target.on_call = note
    invocations = [replace(one, operands=one.operands.map(operands.get)) for one in batch.invocations]
    outcomes = target.outcomes(invocations, **batch.options)
    end_if_child()
    return [replace(one, result=results.put(one.result), later=results.put(one.later)) for one in outcomes]
