"""A target in a process of its own: whatever it does, the suite goes on and says what it was."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest
import unruly_targets
from suite_helpers import only
from unruly_targets import MISBEHAVIOUR

import refconv
from refconv.conformance.profile import Profile
from refconv.conformance.runner import run
from refconv.conformance.targets import process
from refconv.conformance.targets.base import Invocation, Outcome, Refusal, Target, TargetError
from refconv.conformance.targets.load import load_target
from refconv.conformance.targets.memory import SharedMemory
from refconv.conformance.targets.process import Log
from refconv.testing.calls import ConvCall, Operands

FILE = Path(unruly_targets.__file__)

if sys.platform != "linux":
    pytest.skip("isolation needs Linux", allow_module_level=True)


POSITION = {function.__name__: position for position, function in enumerate(unruly_targets.FUNCTIONS)}


def unruly(name, *, isolated=True, **profile):
    return load_target(f"{FILE}:{name}", Profile(dtypes=("float32",), **profile), isolated=isolated)


@pytest.fixture(scope="module")
def anything():
    """A target that can do anything, and has a minute for it."""
    with unruly("anything", time_limit=60, memory_limit=400 << 20) as target:
        yield target


@pytest.fixture(scope="module")
def anything_quickly():
    with unruly("anything", time_limit=0.75) as target:
        yield target


def invocation(name=None, number=1.0, **layouts):
    """A call that makes `anything` do something, or that is just made."""
    x = np.arange(36, dtype=np.float32).reshape(1, 1, 6, 6)
    x[0, 0, 0, :2] = -POSITION[name] if name else 1, number
    w = np.ones((1, 1, 2, 2), np.float32)
    return Invocation(ConvCall(x.shape, w.shape), Operands(x, w), layouts)


def is_right(outcome, *call):
    return np.array_equal(outcome.result, refconv.conv2d(*invocation(*call).operands[:2]))


# ---- Crashes, hangs and the rest ----


@pytest.mark.parametrize("name", MISBEHAVIOUR)
def test_what_a_target_does_is_told_and_the_calls_around_it_are_made(name, anything, anything_quickly):
    kind, type, text = MISBEHAVIOUR[name]
    target = anything_quickly if kind == "timeout" else anything
    first, second, third = target.outcomes([invocation(), invocation(name), invocation(number=2.0)])
    assert second.result is None
    assert (second.refusal.kind, second.refusal.type[: len(type)]) == (kind, type)
    assert text in second.refusal.text
    assert is_right(first)
    assert is_right(third, None, 2.0)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("segfault", "ctypes.string_at(0)"),
        ("abort_with_a_word", "os.abort()"),
        ("hangs", "in hangs,"),
        ("hangs_with_the_gil", "ctypes.PyDLL(None).sleep(100)"),
        ("recursion", "return recursion_itself(*rest)"),
        ("leaves_politely", 'sys.exit("because I want to")'),
    ],
)
def test_the_place_in_the_targets_code_is_told(name, line, anything, anything_quickly):
    target = anything_quickly if name.startswith("hangs") else anything
    (outcome,) = target.outcomes([invocation(name)])
    assert outcome.refusal.place.startswith("in ")
    assert f"{FILE}:" in outcome.refusal.place
    assert line in outcome.refusal.place


def test_only_what_the_call_has_printed_is_told(anything):
    anything.outcomes([invocation("abort_with_a_word")])
    (outcome,) = anything.outcomes([invocation("leaves_at_once")])
    assert outcome.refusal.text == "the process has exited\n  | so long"


HARMLESS = ["prints_on_stdout", "returns_twice", "leaves_a_child", "changes_directory_and_path", "returns_a_list"]


@pytest.mark.parametrize("name", HARMLESS)
def test_what_does_no_harm_is_let_pass(name, anything):
    for number in (1.0, 2.0, 3.0, 4.0):
        outcomes = anything.outcomes([invocation(name, number), invocation(name, -number)])
        assert [is_right(*pair) for pair in zip(outcomes, [name] * 2, (number, -number), strict=True)] == [True, True]


def test_the_limit_is_for_one_call_not_for_a_batch(anything_quickly):
    outcomes = anything_quickly.outcomes([invocation("takes_its_time")] * 4)
    assert all(is_right(outcome, "takes_its_time") for outcome in outcomes)


def test_tensors_are_arrays():
    pytest.importorskip("torch")
    with unruly("returns_a_tensor") as target:
        assert is_right(*target.outcomes([invocation()]))


def test_every_crash_costs_one_outcome():
    with unruly("crashes_every_tenth_time") as target:
        outcomes = [target.outcomes([invocation()])[0] for _ in range(100)]
        assert [position for position, one in enumerate(outcomes) if one.refusal] == list(range(9, 100, 10))
        # In one batch, whatever came before a crash is made once more, by another worker.
        outcomes = target.outcomes([invocation()] * 30)
        assert sum(one.refusal is not None for one in outcomes) >= 2
        assert all(is_right(one) for one in outcomes if one.refusal is None)


def test_a_run_is_completed_whatever_crashes():
    with unruly("crashes_every_tenth_time") as target:
        result = run(target, seed=1, cases=12, clauses=only("kernel", "bias", "repeatable"))
    assert [row.failing[1].headline.split(":")[0] for row in result.rows] == ["SIGSEGV"] * 3
    # What is printed is a small case, which by itself does not crash.
    for row in result.rows:
        assert row.failing[1].details[-1] == (
            "only after earlier calls: this was call 10 of its process, and as the first of another one it does not "
            "fail so"
        )


def test_a_crash_of_any_call_does_not_depend_on_earlier_ones():
    with unruly("segfault") as target:
        (row,) = run(target, seed=1, cases=12, clauses=only("bias")).rows
    assert row.failing[1].refusal.number >= 1
    assert not any("earlier calls" in line for line in row.failing[1].details)


def test_a_new_process_has_made_no_calls():
    with unruly("crashes_every_tenth_time") as target:
        for _ in range(4):
            assert all(is_right(one) for one in target.outcomes([invocation()] * 5))
            assert target.renew()
        (crash,) = (one.refusal for one in target.outcomes([invocation()] * 10) if one.refusal)
        assert (crash.kind, crash.number) == ("crash", 10)


class NeverAnswers(Target):
    """A target whose process always ends."""

    def __init__(self, kind):
        super().__init__("never", Profile(dtypes=("float32",)))
        self.kind = kind
        self.calls = 0

    def outcomes(self, invocations, **_):
        self.calls += len(invocations)
        return [Outcome(refusal=Refusal(self.kind, "", "")) for _ in invocations]


@pytest.mark.parametrize(("kind", "most"), [("timeout", 3), ("memory", 3), ("crash", 30), ("exit", 30)])
def test_what_is_slow_to_fail_is_not_tried_often(kind, most):
    target = NeverAnswers(kind)
    (row,) = run(target, seed=1, cases=10, clauses=only("kernel")).rows
    assert row.failing[1].refusal.kind == kind
    assert 2 <= target.calls <= most


def test_a_crash_while_the_target_is_loaded_is_told():
    with pytest.raises(TargetError, match=r"cannot load .*crashes_when_loaded.py:conv2d: SIGSEGV: .*ctypes.string_at"):
        load_target(f"{FILE.with_name('crashes_when_loaded.py')}:conv2d", isolated=True)
    with pytest.raises(TargetError, match="there is no file"):
        load_target("nowhere.py:conv2d", isolated=True)


@pytest.mark.parametrize(("name", "advice"), [("torch", "; --in-process does without"), ("exec:true", "")])
def test_where_processes_cannot_be_watched_that_is_said(name, advice, monkeypatch):
    def fails(_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", fails)
    with pytest.raises(TargetError, match=rf"^{name}: .* Linux 5.3 .*Function not implemented\){advice}$"):
        load_target(name, isolated=True)


def test_the_suite_does_not_import_what_it_tests():
    pytest.importorskip("torch")
    program = (
        "import sys; from refconv.conformance.targets.load import load_target\n"
        "with load_target('torch', isolated=True) as target: print(target.versions(), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=FILE.parent.parent)
    assert re.fullmatch(r"\{'torch': '2.*'\} False\n", done.stdout), done.stderr


# ---- What is seen from close by ----

LIARS = {
    "writes_to_its_input": {},
    "refuses_after_writing_to_its_weight": {},
    "returns_its_input": {},
    "returns_the_same_buffer": {},
    "remembers_by_identity": {"reuse_memory": True},
    "fortran": {},
    "counts_threads": {"threads": 2},
}


@pytest.mark.parametrize("name", LIARS)
def test_outcomes_are_those_of_the_same_target_in_this_process(name, anything):
    layout = {"input": "fortran_order"} if name == "fortran" else {}
    invocations = [invocation(name, number, **layout) for number in (1.0, 2.0)]
    isolated = anything.outcomes(invocations, **LIARS[name])
    here = unruly("anything", isolated=False).outcomes(invocations, **LIARS[name])
    assert [in_short(outcome) for outcome in isolated] == [in_short(outcome) for outcome in here]


def in_short(outcome):
    arrays = [None if a is None else (a.dtype, a.shape, a.tobytes()) for a in (outcome.result, outcome.later)]
    return (*arrays, outcome.changed, outcome.aliases, outcome.refusal)


def test_what_liars_do_is_seen(anything):
    def outcomes(name, **layouts):
        invocations = [invocation(name, number, **layouts) for number in (1.0, 2.0)]
        return anything.outcomes(invocations, **LIARS[name])

    assert [one.changed for one in outcomes("writes_to_its_input")] == [("input",)] * 2
    assert [one.changed for one in outcomes("refuses_after_writing_to_its_weight")] == [("weight",)] * 2
    assert [one.aliases for one in outcomes("returns_its_input")] == [("input",)] * 2
    first, second = outcomes("returns_the_same_buffer")
    assert is_right(first, "returns_the_same_buffer")
    assert np.array_equal(first.later, second.result)
    assert second.later is None
    first, second = outcomes("remembers_by_identity")
    assert np.array_equal(first.result, second.result)
    assert is_right(outcomes("counts_threads")[0], "counts_threads")
    assert is_right(outcomes("fortran", input="fortran_order")[0], "fortran")
    assert outcomes("fortran")[0].refusal.text == "not what was said"


# ---- Nothing is left behind ----

RUNNING = """
import signal, sys, unruly_targets, test_isolation
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is born ignoring it
with test_isolation.unruly("anything", time_limit=1000) as target:
    print(target._crew._supervisor._process.pid, target._crew._worker._id, flush=True)
    target.outcomes([test_isolation.invocation("hangs_with_the_gil")])
"""


@pytest.fixture
def hanging():
    """A suite whose target hangs, and the processes that belong to it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(FILE.parent), *sys.path])}
    command = [sys.executable, "-c", RUNNING]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as suite:
        pids = [int(pid) for pid in suite.stdout.readline().split()]
        time.sleep(0.2)  # by when the call has begun, as a rule
        yield suite, pids
        suite.kill()


def end(pids):
    """Wait until there is none of these processes any more."""
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() and state(pid) != "Z" for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return True


def state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_ctrl_c_ends_everything(hanging):
    suite, pids = hanging
    assert len(pids) == 2
    suite.send_signal(signal.SIGINT)
    _, errors = suite.communicate(timeout=20)
    assert errors.endswith("KeyboardInterrupt\n")
    assert end(pids)


def test_a_suite_that_is_killed_leaves_no_worker_behind(hanging):
    suite, pids = hanging
    suite.kill()
    assert end(pids)


def test_a_target_is_ended_with_its_children_and_without_a_word(capfd):
    target = unruly("leaves_a_child")
    pids = [target._crew._supervisor._process.pid, target._crew._worker._id]
    target.outcomes([invocation()])
    children = Path(f"/proc/{pids[1]}/task/{pids[1]}/children").read_text().split()
    assert len(children) == 1
    target.close()
    assert end([*pids, *map(int, children)])
    assert capfd.readouterr() == ("", "")


def test_a_closed_target_can_be_used_again():
    with unruly("returns_a_list") as target:
        target.close()
        assert is_right(*target.outcomes([invocation()]))


def test_a_target_does_not_hang_while_the_machine_sleeps(monkeypatch):
    hours = itertools.count(step=3600)
    log = Log()
    with subprocess.Popen(["sh", "-c", "sleep 0.3; echo"], stdout=subprocess.PIPE, start_new_session=True) as slow:
        watched = process.WatchedProcess(slow.pid, log, [slow.stdout.fileno()])
        monkeypatch.setattr(process, "time", SimpleNamespace(monotonic=lambda: next(hours)))
        assert watched.wait(10) == {slow.stdout.fileno()}
    os.close(watched._pidfd)
    log.close()


def test_of_what_is_printed_the_end_is_kept_and_not_too_much():
    log = Log()
    for size in (1_500_000, 10, 1_500_000):
        os.write(log.fileno(), b"x" * size)
        log.mark()
        os.write(log.fileno(), b"y" * 100)
        assert log.text() == "y" * 100
        assert os.fstat(log.fileno()).st_size <= 1 << 20
    log.close()


# ---- Shared memory ----

ARRAYS = [
    np.arange(6, dtype=np.float16).reshape(2, 3).T,
    np.array(3.5),
    np.zeros((0, 4), np.int32),
    np.arange(4, dtype=">f4"),
    np.ones((2, 2), ml_dtypes.bfloat16),
    np.full((1 << 19,), 1 + 2j),
    np.arange(5)[::-1],
    None,
]


def test_arrays_arrive_as_they_were():
    ours = SharedMemory.create()
    theirs = SharedMemory(ours.descriptor)
    for _ in range(2):
        places = [ours.put(array) for array in ARRAYS]
        for place, array in zip(places, ARRAYS, strict=True):
            arrived = theirs.get(place)
            if array is None:
                assert arrived is None
            else:
                assert arrived.dtype == array.dtype
                assert np.array_equal(arrived, array)
        ours.clear()


def test_what_the_other_side_has_put_is_not_overwritten():
    ours = SharedMemory.create()
    theirs = SharedMemory(ours.descriptor)
    stages = ours.put(np.arange(5))
    theirs.go_behind(stages)
    result = theirs.put(np.ones(1 << 20))
    assert ours.get(stages).tolist() == [0, 1, 2, 3, 4]
    assert (ours.get(result) == 1).all()
