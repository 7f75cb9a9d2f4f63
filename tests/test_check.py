"""The command ``refconv check``: exit status, report, messages, and scripts that fail when they are pasted."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import wrong_convolutions
from suite_helpers import CLAUSE, in_file

import refconv
from refconv.cli import main
from refconv.conformance.clauses import CLAUSES
from refconv.conformance.features import FEATURES
from refconv.conformance.profile import Profile
from refconv.conformance.targets.base import TargetError
from refconv.conformance.targets.load import load_target


def refconv_command(*arguments, cwd=None, **environment):
    """Run ``python -m refconv`` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "refconv", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )


@pytest.fixture(scope="module")
def torch_run():
    dtypes = ["--dtype", "float32", "--dtype", "float64"]
    return refconv_command("check", "torch", "--op", "conv2d", *dtypes, "--cases", "8", "--seed", "12")


# ---- The report ----


def test_torch_conforms(torch_run):
    assert torch_run.returncode == 0, torch_run.stdout + torch_run.stderr
    assert re.search(r"^torch conforms: \d+ clauses hold \(\d+ cases, .* seed 12\)$", torch_run.stdout, re.MULTILINE)
    assert "seed 12, profile 8 cases per row" in torch_run.stdout
    for what in (refconv.__version__, np.__version__, "torch 2.", "hypothesis", "python"):
        assert what in torch_run.stdout.splitlines()[1]


def test_the_report_has_a_line_for_every_clause_and_a_column_for_every_dtype(torch_run):
    head = next(line for line in torch_run.stdout.splitlines() if "conv2d" in line and "float64" in line)
    assert head.split()[1:3] == ["float32", "float64"]
    for clause in CLAUSES:
        if clause.applies_to(Profile(), "conv2d", "float32"):
            assert re.search(rf"^ *{clause.number}  {re.escape(clause.title)} +\S", torch_run.stdout, re.MULTILINE)
    assert re.search(r"Rounding stays .* ok +\d+% +ok +\d+%", torch_run.stdout)


def test_progress_goes_to_stderr_and_escapes_only_to_terminals():
    done = refconv_command("check", in_file("bias_missing"), "--cases", "3", "-k", "bias", "--verbose")
    lines = [line for line in done.stderr.splitlines() if re.match(r"(ok|FAIL) ", line)]
    assert [line.split()[:2] for line in lines] == [["FAIL", "bias/conv2d/float32"], ["FAIL", "bias/conv2d/float64"]]
    assert "\x1b" not in done.stdout + done.stderr


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
    text = {"kernel": "flipped"}.get(key, key)  # Other clauses have the word in their titles.
    arguments = (in_file(name), "--seed", "1", "--cases", "60", "-k", text)
    result = refconv_command("check", *arguments, "--dtype", "float32")
    assert result.returncode == 1
    assert CLAUSE[key].title in result.stdout
    assert "FAIL" in result.stdout
    assert result.stdout.splitlines()[-1].startswith(f"{in_file(name)} does not conform: 1 of 1 clause fails")
    again = re.search(r"again: refconv (.*)", result.stdout).group(1)
    assert again.split() == ["check", *arguments[:-2], "--dtype", "float32", "-k", key]

    code = result.stdout[result.stdout.index("import numpy as np") : result.stdout.index("    again:")]
    pasted = tmp_path / "pasted.py"
    pasted.write_text(code)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    outcome = subprocess.run([sys.executable, str(pasted)], capture_output=True, text=True, env=environment)
    assert outcome.returncode == 1
    assert "AssertionError" in outcome.stderr


@pytest.mark.parametrize(
    ("selected", "named"),
    [
        ([], ["--op", "conv2d"]),
        (["--op", "conv2d"], ["--op", "conv2d"]),
        (["--op", "conv[12]d"], ["--op", "conv2d"]),
    ],
)
def test_the_command_for_once_more_runs_one_operation_only(selected, named, tmp_path, capsys, monkeypatch):
    functions = {"conv1d": refconv.conv1d, "conv2d": wrong_convolutions.bias_missing, "conv3d": refconv.conv3d}
    monkeypatch.setattr(wrong_convolutions, "functions", functions, raising=False)
    (tmp_path / "known.txt").write_text("bias/conv3d/*  there is none\n")
    options = ["--cases", "20", "--in-process", "--xfail", str(tmp_path / "known.txt"), "--signed-zeros"]
    words = ["wrong_convolutions:functions", "--seed", "1", *options, "-k", "bias", "--dtype", "float32"]
    assert main(["check", *words, *selected]) == 1
    again = re.search(r"again: refconv (.*)", capsys.readouterr().out).group(1).split()
    for option in (options[:2], options[2:3], options[3:5], options[5:], ["--dtype", "float32"], ["-k", "bias"], named):
        assert " ".join(option) in " ".join(again), option
    assert again.count("--op") == 1
    main(again)
    lines = capsys.readouterr().out.splitlines()
    assert any("conv2d" in line for line in lines)
    assert not any("conv1d" in line or "conv3d" in line for line in lines)


def test_quiet_prints_the_verdict_alone(capsys):
    assert main(["check", in_file("right"), "--quiet", "--cases", "3", "-k", "bias"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert re.fullmatch(r"\n\S+ conforms: 1 clause holds \(6 cases, .* seed \d+\)\n", printed.out)


def test_verbose_prints_every_row(capsys):
    assert main(["check", in_file("right"), "--verbose", "--cases", "3", "-k", "rounding"]) == 0
    printed = capsys.readouterr()
    for dtype in ("float32", "float64"):
        assert re.search(rf"rounding +conv2d +{dtype} +ok +\d+% +3 +\S+ +\d+\.\d\d", printed.out)
        assert re.search(rf"^ok +rounding/conv2d/{dtype} +\d+\.\d s$", printed.err, re.MULTILINE)


def test_the_same_seed_says_the_same(capsys):
    reports = []
    for _ in range(2):
        main(["check", in_file("stride_axes_swapped"), "--seed", "3", "--cases", "30", "-k", "stride"])
        reports.append(re.sub(r"\d+\.\d s, \d+ cases/s", "...", capsys.readouterr().out))
    assert reports[0] == reports[1]


# ---- Selecting ----


def test_the_specification_can_be_read(capsys):
    assert main(["check", "--list"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for clause in CLAUSES:
        assert f"{clause.number}. {clause.title} ({clause.key})" in printed
        assert clause.text in printed


def test_clauses_are_selected_by_key_or_title(capsys):
    assert main(["check", "--list", "-k", "Padding"]) == 0
    keys = re.findall(r"\(([a-z0-9-]+)\)$", capsys.readouterr().out, re.MULTILINE)
    assert {"padding", "named-padding"} <= set(keys) < set(CLAUSE)


def test_features_are_listed_with_the_clauses_that_are_about_them(capsys):
    assert main(["check", "--list"]) == 0
    _, _, table = capsys.readouterr().out.partition("What a profile may declare unsupported")
    for feature, (meaning, _) in FEATURES.items():
        assert re.search(rf"^{feature} +{meaning.split()[0]}", table, re.MULTILINE), feature
    assert re.search("^bias +a bias +bias *$", table, re.MULTILINE)
    assert re.search("^unbatched +input without a batch axis +unbatched *$", table, re.MULTILINE)
    assert main(["check", "--list", "-k", "bias"]) == 0
    assert "What a profile" not in capsys.readouterr().out


def test_adapters_are_listed(capsys):
    assert main(["check", "--targets"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^torch +torch\.nn\.functional", printed, re.MULTILINE)
    assert "pip install refconv[torch]" in printed


def test_a_dry_run_prints_rows_and_what_is_unsupported_and_calls_nothing(capsys, tmp_path):
    (tmp_path / "profile.toml").write_text('dtypes = ["float32"]\n[unsupported]\ngroups = "one group only"\n')
    options = ["--target-profile", str(tmp_path / "profile.toml"), "--dry-run", "--cases", "7"]
    assert main(["check", in_file("raises"), *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "stride/conv2d/float32                        7 cases" in lines
    assert "groups/conv2d/float32                        unsupported: groups > 1: one group only" in lines
    assert not any("float64" in line for line in lines)
    rows, cases, unsupported = map(
        int, re.fullmatch(r"(\d+) rows, up to (\d+) cases; (\d+) unsupported", lines[-1]).groups()
    )
    assert (cases, rows + unsupported) == (7 * rows, len(lines) - 1)


def test_functions_and_dtypes_are_selected_by_pattern(capsys):
    arguments = ["--dry-run", "-k", "flipped", "--op", "conv2*", "--dtype", "*64", "--cases", "1"]
    assert main(["check", in_file("right"), *arguments]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["kernel/conv2d/float64", "1", "cases"]


# ---- Commands that cannot be carried out ----


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
        (["torch", "-k", "no such thing"], "no clause has 'no such thing' in its key or title"),
        ([in_file("right"), "--op", "conv1d"], "the target has no op 'conv1d'; its profile says conv2d"),
        ([in_file("right"), "--dtype", "int8"], "the target has no dtype 'int8'; its profile says float32, float64"),
        ([in_file("right"), "--target-profile", "no.toml"], "cannot read no.toml"),
        ([in_file("right"), "--xfail", "no.txt"], "there is no file no.txt"),
        ([in_file("right"), "--baseline", "no.json"], "there is no file no.json"),
        ([in_file("right"), "--replay", "no.json"], "there is no file no.json"),
        ([in_file("right"), "--replay", "g1n1"], "cannot read 'g1n1' as a convolution"),
        ([in_file("right"), "--replay", "n1ic1iw5oc1kw2"], "the target has no op 'conv1d'"),
        ([in_file("right"), "--replay", "n1ic1ih5iw5oc1kh2kw2ph0-1"], "different padding at both ends of an axis"),
        ([in_file("right"), "--replay", "n1ic1iw5oc1kw2", "--workers", "2"], "a replay is run by one process"),
        ([in_file("right"), "--json", "no/such/place.json"], "cannot write no/such/place.json: there is no directory"),
        ([in_file("right"), "--html", "/"], "cannot write /: it is a directory"),
    ],
)
def test_a_command_that_cannot_be_carried_out_is_a_usage_error(arguments, message, capsys):
    assert main(["check", *arguments]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.startswith("refconv: ")
    assert printed.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["check"], "check needs a TARGET"),
        (["check", "--dry-run"], "check needs a TARGET"),
        (["check", "torch", "--cases", "0"], "must be at least 1, not 0"),
        (["check", "torch", "--seed", "x"], "invalid int value: 'x'"),
        (["check", "torch", "--max-time", "nan"], "must be at least 0 seconds, not nan"),
        (["check", "torch", "--profile", "sloppy"], "invalid choice: 'sloppy'"),
        (["check", "torch", "--quiet", "--verbose"], "not allowed with argument"),
        (["check", "torch", "--workers", "0"], "must be at least 1, not 0"),
        (["check", "torch", "--workers", "2", "--dask", "local:2"], "not allowed with argument"),
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
    ("package", "arguments", "advice"),
    [
        ("hypothesis", ["check", "torch"], "[conformance]"),
        ("rich", ["check", "torch"], "[conformance]"),
        ("torch", ["check", "torch", "--in-process"], "[torch]"),
        ("dask", ["check", in_file("right"), "--in-process", "--dask", "local:2"], "[dask]"),
        ("jinja2", ["check", in_file("right"), "--html", "report.html"], "[conformance]"),
    ],
)
def test_a_missing_package_is_named_with_the_extra_that_brings_it(package, arguments, advice, tmp_path):
    without = f"import sys; sys.modules[{package!r}] = None; from refconv.cli import main; sys.exit(main())"
    result = subprocess.run(
        [sys.executable, "-c", without, *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert result.returncode == 2
    assert package in result.stderr
    assert f"pip install refconv{advice}" in result.stderr
    assert "Traceback" not in result.stderr


def test_importing_refconv_and_its_command_line_needs_numpy_alone():
    code = (
        "import sys, refconv, refconv.cli, refconv.testing, refconv.conformance\n"
        "print(sorted({'torch', 'hypothesis', 'pytest', 'rich', 'scipy', 'jinja2'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert result.stdout == "[]\n"


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


def test_the_help_names_every_kind_of_target_and_every_status():
    done = refconv_command("check", "--help")
    assert done.returncode == 0
    for word in (
        "file.py:function",
        "exec:COMMAND",
        "entry point",
        "130 interrupted",
        "--xfail",
        "clause/operation/dtype",
    ):
        assert word in done.stdout


def test_the_version_can_be_asked_for(capsys):
    with pytest.raises(SystemExit) as done:
        main(["--version"])
    assert done.value.code == 0
    assert capsys.readouterr().out == f"refconv {refconv.__version__}\n"


# ---- Cut short ----


def test_without_time_nothing_is_checked_and_nothing_claimed(capsys):
    assert main(["check", in_file("raises"), "--max-time", "0"]) == 2
    printed = capsys.readouterr().out
    where = Profile(), "conv2d", "float32"
    possible = [c for c in CLAUSES if c.applies_to(*where) and not c.why_unsupported(*where)]
    assert printed.count("not run") >= 2 * len(possible)
    assert "was not checked: the run was cut short before the first case (0 cases" in printed


@pytest.mark.parametrize(("text", "rows"), [("named-padding", "2 rows"), ("dilat", "6 rows")])
def test_where_all_is_declared_unsupported_nothing_is_checked_and_nothing_claimed(text, rows, capsys, tmp_path):
    profile = tmp_path / "profile.toml"
    profile.write_text('[unsupported]\ndilation = "not written yet"\nnamed_padding = "not written yet"\n')
    assert main(["check", in_file("raises"), "--target-profile", str(profile), "-k", text]) == 2
    printed = capsys.readouterr().out
    assert f"was not checked: its profile declares the {rows} selected to be unsupported (0 cases" in printed
    assert "not written yet" in printed
    assert "conforms" not in printed


def test_an_interrupted_run_reports_what_it_has(capsys, monkeypatch):
    calls = []

    def interrupted(*call):
        calls.append(1)
        if len(calls) == 50:
            raise KeyboardInterrupt
        return refconv.conv2d(*call)

    monkeypatch.setattr(wrong_convolutions, "interrupted", interrupted, raising=False)
    assert main(["check", "wrong_convolutions:interrupted", "--in-process", "--cases", "20"]) == 130
    printed = capsys.readouterr().out
    assert "has not failed in 1 clause so far, but the run was cut short (40 cases" in printed
    assert CLAUSES[0].title in printed
