"""A program as a target: the example in C conforms, wrong ones do not, and what a program does is told."""

import shutil
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from suite_helpers import only

from refconv.conformance.profile import Profile
from refconv.conformance.runner import run
from refconv.conformance.targets.base import Invocation, TargetError
from refconv.conformance.targets.load import load_target
from refconv.conformance.targets.npz import NotExpressible, argument_vector, read_result, write_call
from refconv.testing.calls import ConvCall, Operands

EXAMPLES = Path(__file__).parent.parent / "examples"
SOURCE = EXAMPLES / "conv_protocol.c"
PROFILE = Profile.from_toml(EXAMPLES / "conv_protocol.toml")

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
if sys.platform != "linux":
    pytest.skip("programs are watched by means of Linux", allow_module_level=True)


def compiled(directory, **changes):
    """The example as a program, with lines of its source replaced."""
    source = SOURCE.read_text()
    for old, new in changes.values():
        assert source.count(old) == 1
        source = source.replace(old, new)
    path = directory / "conv.c"
    path.write_text(source)
    flags = ["-O2", "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"]
    subprocess.run(["cc", *flags, "-o", directory / "conv", path], check=True)
    return f"exec:{directory / 'conv'}"


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("example"))


# ---- The example ----


@needs_compiler
@pytest.mark.parametrize("suffix", ["", " -"])
def test_the_example_conforms(example, suffix):
    with load_target(example + suffix, PROFILE) as target:
        result = run(target, seed=1, cases=12)
    assert [(row.key, row.failing[1]) for row in result.failures] == []
    assert len([row for row in result.rows if row.status == "pass"]) > 10


WRONG = {
    "padding": ("- begin[1] + kw", "- begin[0] + kw"),
    "stride": ("ow * stride[1]", "ow * stride[0]"),
    "dilation": ("kw * dilation[1]", "kw"),
    "groups": ("oc / (K / groups)", "oc % groups"),
    "bias": ("[oc] : 0", "[0] : 0"),
    "errors": (" || C != w_size[1] * groups", ""),
    "kernel": ("w_size[2] + kh) * w_size[3] + kw]", "w_size[2] + kh) * w_size[3] + w_size[3] - 1 - kw]"),
}


@needs_compiler
@pytest.mark.parametrize("clause", WRONG)
def test_a_mistake_in_the_example_is_found(tmp_path, clause):
    with load_target(compiled(tmp_path, change=WRONG[clause]), PROFILE) as target:
        result = run(target, seed=1, cases=60, clauses=only(clause))
    assert [row.status for row in result.rows] == ["fail"]


@needs_compiler
def test_the_definition_in_reports_calls_the_program(example):
    with load_target(example, PROFILE) as target:
        definition = "\n".join(target.definition("conv2d"))
    x, w = np.ones((1, 1, 3, 3), np.float32), np.ones((1, 1, 2, 2), np.float32)
    names = {}
    exec(definition, names)
    assert (names["conv2d"](x, w, None, 1, 0, 1, 1) == 4).all()
    with pytest.raises(ValueError, match="the channels do not match"):
        names["conv2d"](x, w, None, 1, 0, 1, 2)


# ---- What programs do ----

BEHAVIOUR = [
    ("echo because >&2; exit 1", "exception", "ValueError", "because"),
    ("exit 1", "exception", "ValueError", "exit status 1"),
    ("echo lost; exit 7", "exit", "exit status 7", "the process has exited\n  | lost"),
    ("kill -SEGV $$", "crash", "SIGSEGV", "the process was killed by a signal: Segmentation fault"),
    ("sleep 100", "timeout", "timeout", "no result after 0.5 s"),
    ("sleep 100 & sleep 100", "timeout", "timeout", "no result after 0.5 s"),
    ("true", "not an array", "no file", "the program has not written OUT.npy"),
    ("echo nonsense > $1", "not an array", "ValueError", "OUT.npy cannot be read: "),
    ("cp $0 $1", "not an array", "ValueError", "OUT.npy cannot be read: "),
    (": > $1", "not an array", "ValueError", "OUT.npy cannot be read: "),
]

# After the two lines were read: $0 is "-".
BEHAVIOUR_OF_SERVERS = [
    ("echo I would rather not", "exception", "ValueError", "I would rather not"),
    ("echo because >&2; exit 1", "exception", "ValueError", "because"),
    ("exit 0", "exit", "exit status 0", "the process has exited"),
    ("kill -SEGV $$", "crash", "SIGSEGV", "the process was killed by a signal: Segmentation fault"),
    ("exec >&-; sleep 100", "crash", "disconnected", "the process has closed or garbled its connection to the suite"),
    ("printf half; sleep 100", "timeout", "timeout", "no result after 0.5 s"),
    ("echo ok", "not an array", "no file", "the program has not written OUT.npy"),
]


def outcomes_of(command, count=1, time_limit=60, memory_limit=None):
    operands = Operands(np.ones((1, 1, 3, 3), np.float32), np.ones((1, 1, 2, 2), np.float32))
    invocation = Invocation(ConvCall(operands.input.shape, operands.weight.shape), operands)
    with load_target(f"exec:{command}", Profile(time_limit=time_limit, memory_limit=memory_limit)) as target:
        return target.outcomes([invocation] * count)


def seconds(kind):
    return 0.5 if kind == "timeout" else 60


@pytest.mark.parametrize(("command", "kind", "type", "text"), BEHAVIOUR)
def test_what_a_program_does_is_told(command, kind, type, text):
    for outcome in outcomes_of(f"sh -c '{command}'", 2, seconds(kind)):
        assert outcome.result is None
        assert (outcome.refusal.kind, outcome.refusal.type) == (kind, type)
        assert outcome.refusal.text.startswith(text)


@pytest.mark.parametrize(("command", "kind", "type", "text"), BEHAVIOUR_OF_SERVERS)
def test_what_a_program_that_stays_does_is_told(command, kind, type, text):
    for outcome in outcomes_of(f"sh -c 'while read in && read out; do {command}; done' -", 2, seconds(kind)):
        assert outcome.result is None
        assert (outcome.refusal.kind, outcome.refusal.type, outcome.refusal.text) == (kind, type, text)


DIES_OF_ITS_THIRD_CALL = "n=0; while read in && read out; do n=$((n+1)); [ $n = 3 ] && kill -SEGV $$; echo no; done"


def test_of_a_program_that_stays_the_calls_are_counted():
    outcomes = outcomes_of(f"sh -c '{DIES_OF_ITS_THIRD_CALL}' -", 7)
    assert [one.refusal.kind for one in outcomes] == ["exception", "exception", "crash"] * 2 + ["exception"]
    assert [one.refusal.number for one in outcomes if one.refusal.kind == "crash"] == [3, 3]


def test_a_program_that_stays_can_be_started_anew():
    operands = Operands(np.ones((1, 1, 3, 3), np.float32), np.ones((1, 1, 2, 2), np.float32))
    invocation = Invocation(ConvCall(operands.input.shape, operands.weight.shape), operands)
    with load_target(f"exec:sh -c '{DIES_OF_ITS_THIRD_CALL}' -", Profile()) as target:
        for _ in range(3):
            assert [one.refusal.text for one in target.outcomes([invocation] * 2)] == ["no", "no"]
            assert target.renew()
    with load_target("exec:true", Profile()) as target:
        assert not target.renew(), "every call has a process of its own"


def test_a_program_that_there_is_not():
    with pytest.raises(TargetError, match=r"exec:\./nowhere/conv: there is no program './nowhere/conv'"):
        load_target("exec:./nowhere/conv")
    with pytest.raises(TargetError, match="exec: : there is no program ''"):
        load_target("exec: ")


def test_programs_with_memory_beyond_the_limit_are_ended():
    program = "import time; x = [bytearray(1 << 24) for _ in range(64)]; time.sleep(1)"
    (outcome,) = outcomes_of(f'"{sys.executable}" -c "{program}"', memory_limit=1 << 28)
    assert (outcome.refusal.kind, "256 MiB is the limit" in outcome.refusal.text) == ("memory", True)


def test_a_result_is_not_that_of_the_call_before(tmp_path):
    np.save(tmp_path / "y.npy", np.ones(1))
    once = f"cp {tmp_path}/y.npy $1; rm {tmp_path}/y.npy; exit 0"
    first, second = outcomes_of(f"sh -c '{once}'", 2)
    assert first.result.tolist() == [1]
    assert second.refusal.type == "no file"


# ---- The files ----


def test_results_of_any_order_and_dtype_are_read(tmp_path):
    path = tmp_path / "out.npy"
    array = np.arange(6, dtype=">f8").reshape(2, 3).T
    np.save(path, array)
    result = read_result(path, np.dtype("float64"))
    assert result.dtype == "float64"
    assert result.dtype.isnative
    assert np.array_equal(result, array)
    np.save(path, np.array(3, np.int32))
    assert read_result(path, np.dtype("float64")).shape == ()


def test_bfloat16_travels_as_its_bits(tmp_path):
    array = np.array([[[[1.5]]]], ml_dtypes.bfloat16)
    write_call(tmp_path / "in.npz", ConvCall(array.shape, array.shape), {"input": array, "weight": array})
    with np.load(tmp_path / "in.npz") as members:
        assert members["input"].dtype == np.uint16
        np.save(tmp_path / "out.npy", members["input"])
    assert read_result(tmp_path / "out.npy", array.dtype).tobytes() == array.tobytes()
    assert read_result(tmp_path / "out.npy", array.dtype).dtype == ml_dtypes.bfloat16
    assert read_result(tmp_path / "out.npy", np.dtype(np.uint16)).dtype == np.uint16


def test_the_archive_is_as_the_documentation_says(tmp_path):
    x, w = np.asfortranarray(np.arange(12.0).reshape(1, 1, 3, 4)), np.ones((1, 1, 2, 2), ">f8")
    write_call(tmp_path / "in.npz", ConvCall(x.shape, w.shape), {"weight": w, "input": x})
    content = (tmp_path / "in.npz").read_bytes()
    for name, array in (("arguments", None), ("input", x), ("weight", w)):
        assert content[:4] == b"PK\3\4"
        name_length, extra_length = np.frombuffer(content[26:30], "<u2")
        assert (content[30 : 30 + name_length], extra_length) == (f"{name}.npy".encode(), 0)
        content = content[30 + name_length :]
        assert content[:8] == b"\x93NUMPY\1\0"
        text_length = int.from_bytes(content[8:10], "little")
        header = eval(content[10 : 10 + text_length])
        assert not header["fortran_order"]
        assert header["descr"] == ("<i8" if array is None else "<f8")
        size = 8 * int(np.prod(header["shape"]))
        if array is not None:
            assert content[10 + text_length :][:size] == array.astype("<f8").tobytes("C")
        content = content[10 + text_length + size :]
    assert content[:4] == b"PK\1\2"


# (call, result_shape), what the table in docs/protocol.md makes of it
VECTORS = [
    (
        (ConvCall((1, 4, 9, 9), (2, 2, 3, 5), groups=2, stride=(1, 2), padding=((3, 4), (5, 6)), dilation=(7, 8)), ()),
        [1, 0, 2, 2, 1, 2, 3, 5, 4, 6, 7, 8, 0, 0],
    ),
    ((ConvCall((1, 1, 9, 9), (1, 1, 4, 3), padding="same"), ()), [1, 0, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 0, 0]),
    ((ConvCall((1, 1, 9), (1, 1, 4), op="conv1d", padding="valid"), ()), [1, 0, 1, 1, 1, 0, 0, 1, 0]),
    (
        (ConvCall((1, 1, 9), (1, 1, 4), op="conv_transpose1d", stride=(3,), output_padding=2), ()),
        [1, 1, 1, 1, 3, 0, 0, 1, 2],
    ),
    ((ConvCall((5, 1, 9), (1, 1, 4), op="conv1d_input"), (5, 1, 9)), [1, 2, 1, 1, 1, 0, 0, 1, 0, 5, 1, 9]),
    ((ConvCall((5, 1, 9), (1, 1, 4), op="conv1d_weight"), (1, 1, 4)), [1, 3, 1, 1, 1, 0, 0, 1, 0, 1, 1, 4]),
    ((ConvCall((5, 1, 9), (1, 1, 4), op="conv1d_bias"), ()), [1, 4, 1, 1, 1, 0, 0, 1, 0]),
]


@pytest.mark.parametrize(("call", "vector"), VECTORS)
def test_arguments_are_where_the_documentation_says(call, vector):
    assert argument_vector(*call).tolist() == vector


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"stride": (1, 2, 3)}, r"stride=\(1, 2, 3\) is not one number for each of the 2 axes"),
        ({"groups": 1.5}, "'float' object cannot be interpreted as an integer"),
        ({"padding": 1 << 70}, "too large"),
        ({"padding": "some"}, "padding='some' comes to no numbers: Invalid padding string"),
    ],
)
def test_calls_that_cannot_be_written_down_are_refused(arguments, text):
    with pytest.raises(NotExpressible, match=text):
        argument_vector(ConvCall((1, 1, 9, 9), (1, 1, 3, 3), **arguments))


@needs_compiler
def test_a_call_that_cannot_be_written_down_is_refused_on_behalf_of_the_program(example):
    call = ConvCall((1, 1, 3, 3), (1, 1, 2, 2), stride=(1, 2, 3))
    operands = Operands(np.ones(call.input_shape, np.float32), np.ones(call.weight_shape, np.float32))
    with load_target(example, PROFILE) as target:
        (outcome,) = target.outcomes([Invocation(call, operands)])
    assert outcome.refusal.kind == "exception"
    assert outcome.refusal.bases == ("ValueError",)
