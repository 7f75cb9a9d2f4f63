"""``refconv check``: right convolutions conform, wrong ones do not, and the report proves it with code that runs."""

import os
import re
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import wrong_convolutions
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import refconv
from refconv.cli import main
from refconv.conformance import judges
from refconv.conformance.clauses import CLAUSES
from refconv.conformance.judges import Mismatch
from refconv.conformance.report import print_failures, report_console
from refconv.conformance.repro import script
from refconv.conformance.runner import Progress, Row, Run, run
from refconv.conformance.simplify import MOST_PRINTED
from refconv.conformance.targets import FunctionTarget, TargetError, TorchTarget, load_target
from refconv.testing.calls import ConvCall, ConvCase, Operands
from refconv.testing.recipes import exact_in_any_order
from refconv.testing.strategies import conv_calls, conv_cases

WRONG_FILE = Path(wrong_convolutions.__file__)
CLAUSE = {clause.key: clause for clause in CLAUSES}


def in_file(name):
    return f"{WRONG_FILE}:{name}"


def refconv_command(*arguments, **environment):
    """Run ``python -m refconv`` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "refconv", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )


def target_of(function, dtypes=("float32",)):
    target = FunctionTarget("mine", function, ["conv2d = None"])
    target.dtypes = dtypes
    return target


def only(*keys):
    return [CLAUSE[key] for key in keys]


# ---- Verdicts ----


@pytest.mark.parametrize("name", wrong_convolutions.WRONG)
def test_a_wrong_convolution_fails_the_clause_that_says_so_and_its_script_fails_too(name):
    target = load_target(in_file(name))
    target.dtypes = ("float32",)
    (row,) = run(target, seed=1, cases=100, clauses=only(wrong_convolutions.WRONG[name])).rows
    case, mismatch = row.failing
    assert case.operands.size <= 40
    code = script(target, case, mismatch)
    expected = type(mismatch.__cause__) if mismatch.__cause__ else AssertionError
    with pytest.raises((expected, IndexError)) as error:
        exec(code, {})
    assert not isinstance(error.value, (NameError, SyntaxError))


# Faults of one kind, and the clauses about other things, which must not be blamed for them.
INNOCENT = {
    "stride_axes_swapped": ["kernel", "channels", "batch", "bias", "dilation", "padding", "groups"],
    "dilation_ignored": ["kernel", "channels", "batch", "bias", "stride", "padding", "groups"],
    "padding_on_one_side": ["kernel", "channels", "bias", "stride", "dilation", "named-padding", "groups"],
    "groups_interleaved": ["kernel", "channels", "batch", "bias", "stride", "dilation", "padding"],
    "last_channel_dropped": ["kernel", "stride", "dilation", "padding", "named-padding"],
    "bias_missing": ["kernel", "channels", "stride", "dilation", "padding", "named-padding"],
}


@pytest.mark.parametrize("name", INNOCENT)
def test_other_clauses_are_not_blamed(name):
    target = target_of(getattr(wrong_convolutions, name))
    assert run(target, seed=2, cases=40, clauses=only(*INNOCENT[name])).failures == []


def test_a_right_convolution_conforms():
    result = run(target_of(wrong_convolutions.right, ("float32", "float64")), seed=3, cases=15)
    assert [row.clause.key for row in result.failures] == []
    assert {row.clause.key for row in result.rows} == set(CLAUSE)
    assert all(row.cases == 15 for row in result.rows)


def test_refconv_conforms():
    assert run(target_of(refconv.conv2d, ("float32", "float64")), seed=4, cases=25).failures == []


def test_every_clause_has_a_wrong_convolution_that_breaks_it():
    assert set(wrong_convolutions.WRONG.values()) == set(CLAUSE)


def test_errors_allowed_are_measured():
    def float32_sums(input, weight, bias, *arguments):
        return wrong_convolutions.right(input, weight, bias, *arguments)

    (row,) = run(target_of(float32_sums), seed=5, cases=60, clauses=only("rounding")).rows
    assert 0.1 < row.tally.worst_share <= 1
    assert row.tally.worst_ulp > 1
    (exact,) = run(target_of(refconv.conv2d), seed=5, cases=60, clauses=only("rounding")).rows
    assert exact.tally.worst_ulp == 0


# ---- The command ----


@pytest.fixture(scope="module")
def torch_run():
    return refconv_command("check", "torch", "--cases", "20", "--seed", "12")


def test_torch_conforms(torch_run):
    assert torch_run.returncode == 0, torch_run.stdout
    assert "torch conforms: 19 properties hold (760 cases, " in torch_run.stdout
    assert "seed 12, 20 cases for every property and dtype" in torch_run.stdout
    for what in (refconv.__version__, np.__version__, "torch 2.", "hypothesis", "python"):
        assert what in torch_run.stdout.splitlines()[1]


def test_the_report_has_a_line_for_every_property_and_dtype(torch_run):
    lines = torch_run.stdout.splitlines()
    for clause in CLAUSES:
        first = next(i for i, line in enumerate(lines) if line.strip().startswith(clause.title))
        assert "float32" in lines[first]
        assert "float64" in lines[first + 1]
    (rounding,) = (line for line in lines if "Rounding" in line)
    assert re.search(r"float32 +20 +ok +\d+% +\S+$", rounding.rstrip())


def test_progress_goes_to_stderr_and_escapes_only_to_terminals(torch_run):
    lines = torch_run.stderr.splitlines()
    assert len(lines) == 2 * len(CLAUSES)
    assert all(re.search(r"float(32|64) +ok +\d+\.\d s$", line) for line in lines)
    assert "\x1b" not in torch_run.stdout + torch_run.stderr


def test_colours_are_for_terminals_unless_no_color_is_set():
    arguments = ("check", in_file("right"), "--cases", "3", "-k", "kernel")
    colour = re.compile(r"\x1b\[[0-9;]*3[0-9]m")
    assert colour.search(refconv_command(*arguments, FORCE_COLOR="1").stdout)
    assert not colour.search(refconv_command(*arguments, FORCE_COLOR="1", NO_COLOR="1").stdout)


@pytest.mark.parametrize(
    "name", ["kernel_flipped", "clears_its_input", "returns_nothing", "takes_memory_as_contiguous"]
)
def test_the_printed_script_fails_when_it_is_pasted(name, tmp_path):
    key = wrong_convolutions.WRONG[name]
    result = refconv_command("check", in_file(name), "--cases", "60", "--seed", "1", "-k", key)
    assert result.returncode == 1
    assert CLAUSE[key].title in result.stdout
    assert "FAIL" in result.stdout
    assert result.stdout.splitlines()[-1].startswith(f"{in_file(name)} does not conform: 1 of 1 property fails")
    again = re.search(r"again: refconv (.*)", result.stdout).group(1)
    assert again.split() == ["check", in_file(name), "--seed", "1", "--cases", "60", "-k", key]

    code = result.stdout[result.stdout.index("import numpy as np") : result.stdout.index("    again:")]
    pasted = tmp_path / "pasted.py"
    pasted.write_text(code)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    outcome = subprocess.run([sys.executable, str(pasted)], capture_output=True, text=True, env=environment)
    assert outcome.returncode == 1
    assert "AssertionError" in outcome.stderr


def test_a_target_is_imported_from_the_working_directory(tmp_path):
    """Also by the installed command, which unlike ``python -m`` does not look there by itself."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "command.py").write_text("import sys; from refconv.cli import main; sys.exit(main())\n")
    (tmp_path / "my_conv_package.py").write_text("from refconv import conv2d\n")
    result = subprocess.run(
        [sys.executable, "bin/command.py", "check", "my_conv_package:conv2d", "--cases", "2", "--quiet"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(refconv.__file__).parents[1])},
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().startswith("my_conv_package:conv2d conforms")


def test_errors_of_what_has_failed_are_not_called_allowed(capsys):
    assert main(["check", in_file("kernel_flipped"), "--cases", "40", "--seed", "1", "-k", "rounding"]) == 1
    printed = capsys.readouterr().out
    lines = [line for line in printed.splitlines() if re.search(r"float(32|64) +\d+ +FAIL", line)]
    assert len(lines) == 2
    assert all(line.rstrip().endswith("FAIL") for line in lines)


def broken_file(tmp_path, text):
    path = tmp_path / "broken.py"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tensorflow"], "unknown target 'tensorflow'; a target is 'torch', 'package.module:function'"),
        (["no_such_module:conv2d"], "cannot import no_such_module: ModuleNotFoundError"),
        (["no_such_file.py:conv2d"], "there is no file"),
        ([in_file("no_such_function")], "has no function 'no_such_function'"),
        ([in_file("WRONG")], "has no function 'WRONG'"),
        (["module:"], "unknown target 'module:'"),
        (["torch", "-k", "no such thing"], "no property has 'no such thing' in its name"),
    ],
)
def test_a_command_that_cannot_be_carried_out_is_a_usage_error(arguments, message, capsys):
    assert main(["check", *arguments]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["check"], "check needs a TARGET"),
        (["check", "torch", "--cases", "0"], "must be at least 1, not 0"),
        (["check", "torch", "--seed", "x"], "invalid int value: 'x'"),
    ],
)
def test_wrong_arguments_are_a_usage_error(arguments, message, capsys):
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2
    assert message in capsys.readouterr().err


def test_a_target_that_cannot_be_imported_says_why(tmp_path):
    with pytest.raises(TargetError, match=r"cannot import .*broken\.py: ZeroDivisionError: division by zero"):
        load_target(broken_file(tmp_path, "1 / 0") + ":conv2d")


@pytest.mark.parametrize(
    ("package", "advice"),
    [("hypothesis", "[conformance]"), ("rich", "[conformance]"), ("torch", "[torch]")],
)
def test_a_missing_package_is_named_with_the_extra_that_brings_it(package, advice):
    without = f"import sys; sys.modules[{package!r}] = None; from refconv.cli import main; sys.exit(main())"
    result = subprocess.run(
        [sys.executable, "-c", without, "check", "torch"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert result.returncode == 2
    assert package in result.stderr
    assert f"pip install refconv{advice}" in result.stderr
    assert "Traceback" not in result.stderr


def test_importing_refconv_and_its_command_line_needs_numpy_alone():
    code = (
        "import sys, refconv, refconv.cli, refconv.testing\n"
        "print(sorted({'torch', 'hypothesis', 'pytest', 'rich', 'scipy'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert result.stdout == "[]\n"


def test_a_clause_does_not_pass_on_cases_that_it_cannot_judge():
    def inexact_cases(_, dtype):
        return conv_cases(dtype, ["normal"], conv_calls())

    clause = replace(CLAUSE["groups"], cases=inexact_cases)
    with pytest.raises(AssertionError, match="groups: a case was drawn that the clause cannot judge"):
        run(target_of(refconv.conv2d), seed=1, cases=20, clauses=[clause])


def test_the_specification_can_be_read(capsys):
    assert main(["check", "--list"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for clause in CLAUSES:
        assert f"{clause.title} ({clause.key})" in printed
        assert clause.text in printed


def test_properties_are_selected_by_key_or_title(capsys):
    assert main(["check", "--list", "-k", "Padding"]) == 0
    keys = re.findall(r"\(([a-z-]+)\)$", capsys.readouterr().out, re.MULTILINE)
    assert keys == ["padding", "named-padding"]


def test_quiet_prints_the_verdict_alone(capsys):
    assert main(["check", in_file("right"), "--quiet", "--cases", "3", "-k", "bias"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert re.fullmatch(r"\n\S+ conforms: 1 property holds \(6 cases, .* seed \d+\)\n", printed.out)


def test_a_script_is_printed_once_per_call(capsys):
    target = load_target(in_file("right"))
    long_line = f"assert False, {'long line ' * 20!r}"
    mismatch = Mismatch("all wrong", code=[long_line])
    same, other = case_of([[[[1]]]], [[[[2]]]]), case_of([[[[1]]]], [[[[2]]]], stride=2)
    rows = [
        Row(CLAUSE[key], dtype, cases=1, failing=(case, mismatch))
        for key, case in (("kernel", same), ("stride", other), ("rounding", same))
        for dtype in ("float32", "float64")
    ]
    print_failures(report_console(), Run(target, seed=5, rows=rows), cases=20)
    printed = capsys.readouterr().out
    assert re.findall(r"^FAIL .*\((.*), float32 and float64\)$", printed, re.MULTILINE) == [
        "kernel",
        "stride",
        "rounding",
    ]
    assert printed.count("import numpy as np") == printed.count(f"\n{long_line}\n") == 2
    assert printed.count("for the same call as under 'kernel'") == 1
    assert re.findall(r"--seed 5 --cases 20 -k (\S+)$", printed, re.MULTILINE) == ["kernel", "stride", "rounding"]


def test_a_second_dtype_that_fails_is_not_made_small():
    calls = {"float32": 0, "float64": 0}

    def one_more(input, *rest):
        calls[input.dtype.name] += 1
        return refconv.conv2d(input, *rest) + 1

    first, second = run(target_of(one_more, tuple(calls)), seed=1, cases=20, clauses=only("channels")).rows
    assert first.failing is not None
    assert second.failing is not None
    # Hypothesis calls what has failed once more, to be sure.
    assert calls["float64"] == second.cases + 1 < calls["float32"]


def test_an_interrupted_run_reports_what_it_has(capsys, tmp_path):
    interrupted = (
        "from refconv import conv2d as right\n"
        "calls = []\n"
        "def conv2d(*call):\n"
        "    calls.append(1)\n"
        "    if len(calls) == 50: raise KeyboardInterrupt\n"
        "    return right(*call)\n"
    )
    assert main(["check", broken_file(tmp_path, interrupted) + ":conv2d", "--cases", "20"]) == 130
    printed = capsys.readouterr().out
    assert "no failure so far in 1 property, but the run was cut short (40 cases" in printed
    assert CLAUSES[0].title in printed


def test_without_time_nothing_is_checked_and_nothing_claimed(capsys):
    assert main(["check", in_file("raises"), "--max-time", "0"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("not run") == 2 * len(CLAUSES)
    assert "no failure so far in 0 properties, but the run was cut short" in printed


# ---- The same seed, the same cases ----


def digest(seed, cases=10, clauses=CLAUSES, dtypes=("float32", "float64")):
    """A checksum of all operands and arguments that a target is called with, per clause and dtype."""
    digests = {}

    def convolve(*call):
        key = current[-1]
        for part in call:
            content = part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode()
            digests[key] = zlib.crc32(content, digests.get(key, 0))
        return refconv.conv2d(*call)

    current = []

    class Remember(Progress):
        def row_begins(self, row):
            current.append((row.clause.key, row.dtype))

    run(target_of(convolve, dtypes), seed=seed, cases=cases, clauses=clauses, progress=Remember())
    return digests


def test_the_same_seed_draws_the_same_cases_whatever_is_selected():
    everything = digest(seed=8)
    selected = digest(seed=8, clauses=only("views", "rounding"))
    assert selected == {key: value for key, value in everything.items() if key[0] in ("views", "rounding")}
    assert len(set(everything.values())) == len(everything)


def test_another_seed_draws_other_cases():
    one, other = (digest(seed, clauses=only("shape", "kernel", "rounding", "views", "errors")) for seed in (8, 9))
    assert all(one[key] != other[key] for key in one)


# ---- Scripts and small cases ----


def case_of(x, w, b=None, **arguments):
    x, w = np.array(x, np.float32), np.array(w, np.float32)
    b = None if b is None else np.array(b, np.float32)
    return ConvCase(ConvCall(x.shape, w.shape, None if b is None else b.shape, **arguments), Operands(x, w, b), "")


def test_torch_scripts_call_torch():
    target = TorchTarget()
    case = case_of([[[[1.5, np.nan, -np.inf, 0.1]]]], [[[[2, 3]]]], [0.25], stride=(1, 2), padding=(1, 0))
    mismatch = Mismatch("", code=["got = conv2d(input, weight, bias, stride, padding, dilation, groups)"])
    code = script(target, case, mismatch)
    names = {}
    exec(code, names)
    for name, array in case.operands._asdict().items():
        assert names[name].dtype == np.float32
        np.testing.assert_array_equal(names[name], array)
    np.testing.assert_array_equal(names["got"], refconv.conv2d(*case.operands, *case.call.arguments))
    assert "torch.nn.functional.conv2d" in code


@given(bits=arrays(np.uint32, (1, 1, 2, 12)), dtype=st.sampled_from([np.float32, np.float64]))
@settings(max_examples=50, deadline=None)
def test_printed_numbers_are_the_numbers(bits, dtype):
    case = case_of(bits.view(np.float32), [[[[1]]]])
    with np.errstate(invalid="ignore"):
        case = replace(case, operands=Operands(*(None if a is None else a.astype(dtype) for a in case.operands)))
    names = {}
    exec(script(target_of(refconv.conv2d), case, Mismatch("", code=[])), names)
    np.testing.assert_array_equal(names["input"], case.operands.input)
    assert names["input"].dtype == names["weight"].dtype == dtype
    assert names["bias"] is None


@pytest.mark.parametrize("judge", ["expect_equal", "expect_shape_and_dtype", "expect_untouched", "expect_repeatable"])
def test_scripts_pass_when_the_target_is_right(judge):
    """The code of every judge, run on a convolution that is right."""

    def calls_fail(*call):
        calls.append(1)
        call[0][...] = -1
        return np.zeros((1, len(calls)), np.float64)

    calls = []
    case = case_of([[[[1, 2]]]], [[[[3]]]])
    with pytest.raises(Mismatch) as mismatch:
        getattr(judges, judge)(target_of(calls_fail), case)
    right = FunctionTarget("right", None, ["from refconv import conv2d"])
    exec(script(right, case, mismatch.value), {})


def test_messages_must_be_torchs_for_torch():
    def other_words(*call):
        try:
            return refconv.conv2d(*call)
        except refconv.ConvError as error:
            raise RuntimeError(f"{error}!") from None

    target = FunctionTarget("torch-like", other_words, ["from refconv import conv2d"])
    target.dtypes = ("float32",)
    assert run(target, seed=1, cases=20, clauses=only("errors")).failures == []
    target.torch_messages = True
    (row,) = run(target, seed=1, cases=20, clauses=only("errors")).failures
    assert row.failing[1].details[0].startswith("refconv: ConvError: ")
    assert row.failing[1].details[1].endswith("!")


def test_a_case_that_cannot_be_small_is_built_by_its_recipe(monkeypatch):
    def loses_long_sums(input, weight, *rest):
        out = refconv.conv2d(input, weight, *rest)
        return 0 * out if weight[0].size > 300 else out

    monkeypatch.setattr(wrong_convolutions, "loses_long_sums", loses_long_sums, raising=False)
    definition = ["from wrong_convolutions import loses_long_sums as conv2d"]
    target = FunctionTarget("mine", loses_long_sums, definition)
    target.dtypes = ("float32",)
    (row,) = run(target, seed=1, cases=60, clauses=only("rounding")).failures
    case, mismatch = row.failing
    assert case.operands.size > MOST_PRINTED
    code = script(target, case, mismatch)
    assert len(code) < 1500
    names = {}
    with pytest.raises(AssertionError, match="times the allowed error"):
        exec(code, names)
    np.testing.assert_array_equal(names["input"], case.operands.input)
    np.testing.assert_array_equal(names["weight"], case.operands.weight)


def test_numbers_of_a_small_case_are_simple():
    def off_at_large_inputs(input, *rest):
        return refconv.conv2d(input, *rest) + (np.abs(input).max(initial=0) > 5)

    (row,) = run(target_of(off_at_large_inputs), seed=1, cases=60, clauses=only("groups")).failures
    case = row.failing[0]
    assert case.call == ConvCall(input_shape=(1, 1, 1, 1), weight_shape=(1, 1, 1, 1))
    # The input has to stay above 5, and is rounded to one digit; the weight does not matter.
    assert abs(case.operands.input.item()) >= 6
    assert f"{abs(case.operands.input.item()):.0e}" == f"{abs(case.operands.input.item()):.6e}".replace(".000000", "")
    assert case.operands.weight.item() == 0


def test_simpler_numbers_are_still_exact():
    exact = []

    def wrong_for_pairs_of_tiny_numbers(input, weight, bias, *rest):
        exact.append(exact_in_any_order(Operands(input, weight, bias)))
        out = refconv.conv2d(input, weight, bias, *rest)
        tiny = (np.abs(input) < 1e-38) & (input != 0)
        return out + 1 if tiny.any() and np.count_nonzero(input) > 1 else out

    (row,) = run(target_of(wrong_for_pairs_of_tiny_numbers), seed=1, cases=40, clauses=only("subnormals")).failures
    assert len(exact) > row.cases
    assert all(exact)


def test_a_failure_that_does_not_come_again_is_reported_all_the_same():
    calls = []

    def fails_once(*call):
        calls.append(1)
        out = refconv.conv2d(*call)
        return out + 1 if len(calls) == 7 else out

    (row,) = run(target_of(fails_once), seed=1, cases=20, clauses=only("kernel")).rows
    assert row.cases == 7
    assert row.failing is not None
    assert "results wrong" in row.failing[1].headline


def test_an_exception_is_reported_with_its_place():
    (row,) = run(load_target(in_file("raises")), seed=1, cases=5, clauses=only("bias")).failures[:1]
    assert row.failing[1].headline == "raised ZeroDivisionError: at a place of its own"
    assert row.failing[1].details[0].startswith(f"in raises, {WRONG_FILE}:")
