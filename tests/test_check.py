"""The command ``refconv check``: exit status, report, messages, and scripts that fail when they are pasted."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import wrong_convolutions
from suite_helpers import CLAUSE, case_of, in_file

import refconv
from refconv.cli import main
from refconv.conformance.clauses import CLAUSES
from refconv.conformance.judges import Mismatch
from refconv.conformance.report import print_failures, report_console
from refconv.conformance.runner import Row, Run
from refconv.conformance.targets.base import TargetError
from refconv.conformance.targets.load import load_target


def refconv_command(*arguments, **environment):
    """Run ``python -m refconv`` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "refconv", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )


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
        (["tensorflau"], "unknown target 'tensorflau'; a target is 'torch' or another adapter"),
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
        Row(CLAUSE[key], "conv2d", dtype, cases=1, failing=(case, mismatch))
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
