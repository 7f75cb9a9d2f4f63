"""The clauses as tests in somebody's own suite, and by ``pytest --refconv-target`` without any suite."""

import os
import re
from pathlib import Path

import pytest
from suite_helpers import CLAUSE, in_file

import refconv
from refconv.conformance import parametrize
from refconv.conformance.parametrized import checks
from refconv.conformance.profile import Profile
from refconv.conformance.selection import SelectionError
from refconv.conformance.targets.base import TargetError
from refconv.conformance.xfail import XfailError

pytest_plugins = ["pytester"]

ROOT = Path(refconv.__file__).parents[1]

# How many clauses there are for a convolution with torch's conventions.
OF_CONV2D = sum(clause.applies_to(Profile(), "conv2d", "float32") for clause in CLAUSE.values())


#: A conftest.py that keeps these tests short; 30 cases are enough for bugs that are never far.
SHORT = """
from hypothesis import settings

settings.register_profile("short", max_examples=30, derandomize=True, database=None)
settings.load_profile("short")
"""


@pytest.fixture
def suite(pytester, monkeypatch):
    """Runs pytest in an empty directory, with the plugin as if refconv were installed."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONWARNINGS", "")
    pytester.makeini("[pytest]\naddopts = --strict-markers --strict-config\n")
    pytester.makeconftest(SHORT)

    def run(*arguments, plugins=("refconv.conformance.pytest_plugin", "_hypothesis_pytestplugin")):
        named = [word for plugin in plugins for word in ("-p", plugin)]
        return pytester.runpytest_subprocess(*named, *arguments)

    return run


# ---- The decorator ----


def test_ids_are_the_keys_and_pass_for_what_is_right():
    found = checks(refconv.conv2d, dtypes=["float32"], clauses=["shape", "stride"])
    assert [check.key for check in found] == ["shape/conv2d/float32", "stride/conv2d/float32"]
    assert all(check.marks == [] for check in found)


def test_the_decorator_makes_a_test_of_every_row():
    mark = parametrize(refconv.conv2d, argument="row").mark
    assert mark.args[0] == "row"
    ids = [parameter.id for parameter in mark.args[1]]
    assert len(ids) == len(set(ids)) > 30
    assert all(re.fullmatch(r"[a-z0-9-]+/conv2d/float(32|64)", one) for one in ids)


DECORATED = """
    import wrong_convolutions
    from refconv.conformance import parametrize

    @parametrize(
        wrong_convolutions.padding_on_one_side,
        dtypes=["float32"],
        clauses=["kernel", "padding", "stride"],
        xfail={"padding/*": "on one side only"},
    )
    def test_mine(check):
        check()
"""


def test_a_wrong_convolution_fails_with_the_text_of_the_report(suite, pytester):
    pytester.makepyfile(DECORATED.replace('xfail={"padding/*": "on one side only"},', ""))
    result = suite("-v")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*::test_mine[[]kernel/conv2d/float32] PASSED*",
            "*::test_mine[[]padding/conv2d/float32] FAILED*",
            "FAIL Padding adds zeros on all sides  (padding, conv2d, float32)",
            "    looks like: *",
            "import numpy as np",
            "from wrong_convolutions import padding_on_one_side as conv2d",
            "np.testing.assert_array_equal(got, want)",
        ]
    )
    # Nothing of our own machinery is between the reader and the failure.
    assert "Traceback" not in result.stdout.str()
    assert "runner.py" not in result.stdout.str()


def test_known_failures_are_strict(suite, pytester):
    pytester.makepyfile(DECORATED)
    suite().assert_outcomes(passed=2, xfailed=1)
    pytester.makepyfile(DECORATED.replace("padding_on_one_side", "right"))
    result = suite("-rA")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*XPASS(strict)*on one side only*"])


COUNTING = """
    import refconv
    from pathlib import Path
    from refconv.conformance import parametrize

    def counting(*call):
        with open("calls", "a") as file:
            file.write(f"{call[0].tobytes().hex()}\\n")
        return refconv.conv2d(*call)

    @parametrize(counting, dtypes=["float32"], clauses=["kernel"])
    def test_counting(check):
        check()
"""


def test_settings_and_seed_are_those_of_the_suite(suite, pytester):
    pytester.makepyfile(COUNTING)
    pytester.makeconftest(
        "from hypothesis import settings\n"
        "settings.register_profile('seven', max_examples=7, database=None, derandomize=False)\n"
        "settings.register_profile('same', max_examples=12, database=None, derandomize=True)\n"
    )
    calls = pytester.path / "calls"

    def drawn(*arguments):
        calls.unlink(missing_ok=True)
        suite(*arguments).assert_outcomes(passed=1)
        return calls.read_text().splitlines()

    seven = drawn("--hypothesis-profile=seven", "--hypothesis-seed=1")
    # Vacuous cases come on top.
    assert 7 <= len(seven) < 14
    assert drawn("--hypothesis-profile=seven", "--hypothesis-seed=1") == seven
    assert drawn("--hypothesis-profile=seven", "--hypothesis-seed=2") != seven
    same = drawn("--hypothesis-profile=same")
    assert 12 <= len(same) < 24
    assert drawn("--hypothesis-profile=same") == same


def test_the_database_of_the_suite_remembers_what_has_failed(suite, pytester):
    """A failure so rare that it is not found again by chance."""
    pytester.makepyfile(
        COUNTING.replace(
            "return refconv.conv2d(*call)",
            "return refconv.conv2d(*call) + (Path('once').exists() or call[0].size > 24)",
        ).replace('["kernel"]', '["kernel", "channels"]')
    )
    pytester.makeconftest(
        # Spelt out, since Hypothesis has other defaults where it finds itself in CI.
        "from hypothesis import settings\n"
        "from hypothesis.database import DirectoryBasedExampleDatabase\n"
        "database = DirectoryBasedExampleDatabase('examples')\n"
        "settings.register_profile('short', max_examples=60, database=database, derandomize=False)\n"
        "settings.load_profile('short')\n"
    )
    suite("-k", "kernel").assert_outcomes(failed=1, deselected=1)
    calls = pytester.path / "calls"
    calls.unlink()
    # The first case of the next run is one that has failed; another row has a memory of its own.
    suite("-k", "kernel").assert_outcomes(failed=1, deselected=1)
    first = calls.read_text().splitlines()[0]
    assert len(bytes.fromhex(first)) // 4 > 24


def test_what_the_profile_lacks_is_skipped_with_the_reason(suite, pytester):
    (pytester.path / "profile.toml").write_text('dtypes = ["float64"]\n[unsupported]\ngroups = "only one group"\n')
    pytester.makepyfile(
        "import refconv\nfrom refconv.conformance import parametrize\n"
        "@parametrize(refconv.conv2d, profile='profile.toml', clauses=['groups', 'bias'])\n"
        "def test_mine(check):\n    check()\n"
    )
    result = suite("-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*declared unsupported: groups > 1: only one group*"])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"implementation": "no_such_library"}, TargetError, "unknown target 'no_such_library'"),
        ({"ops": ["conv9d"]}, SelectionError, r"the target has no op 'conv9d'; its profile says conv2d"),
        ({"dtypes": ["float7"]}, SelectionError, "the target has no dtype 'float7'"),
        ({"clauses": ["pading"]}, SelectionError, "there is no clause 'pading'"),
        ({"xfail": {"padding/*": ""}}, XfailError, "has no reason"),
        ({"xfail": {"pading/*": "typo"}}, XfailError, "no row of this target matches"),
    ],
)
def test_what_is_wrong_is_said_when_tests_are_collected(arguments, error, message):
    with pytest.raises(error, match=message):
        parametrize(**({"implementation": refconv.conv2d} | arguments))


def test_a_target_may_have_several_functions_and_a_profile():
    profile = Profile(ops=("conv1d", "conv2d"), dtypes=("float64",))
    found = checks({"conv1d": refconv.conv1d, "conv2d": refconv.conv2d}, profile=profile, clauses=["kernel"])
    assert [check.key for check in found] == ["kernel/conv1d/float64", "kernel/conv2d/float64"]


# ---- Without a test file ----


def test_the_suite_is_collected_without_any_file(suite):
    result = suite("--refconv-target", in_file("right"), "--refconv-dtype", "float32", "-k", "bias or unbatched", "-v")
    result.assert_outcomes(passed=2, deselected=OF_CONV2D - 2)
    result.stdout.fnmatch_lines(
        [f"refconv target: {in_file('right')}", "*unbatched/conv2d/float32 PASSED*", "*bias/conv2d/float32 PASSED*"],
    )


def test_a_failure_is_the_text_of_the_report(suite):
    result = suite("--refconv-target", in_file("bias_missing"), "--refconv-dtype", "float32", "-k", "bias")
    result.assert_outcomes(failed=1, deselected=OF_CONV2D - 1)
    result.stdout.fnmatch_lines(["FAIL The bias is added once, per channel  (bias, conv2d, float32)", "conv2d = *"])
    assert "Traceback" not in result.stdout.str()


def test_it_runs_beside_other_tests_and_can_be_selected_by_its_marker(suite, pytester):
    pytester.makepyfile("def test_other():\n    pass\n")
    arguments = ("--refconv-target", in_file("right"), "--refconv-dtype", "float32")
    suite(*arguments, "-m", "not refconv").assert_outcomes(passed=1, deselected=OF_CONV2D)
    suite(*arguments, "-k", "bias or other").assert_outcomes(passed=2, deselected=OF_CONV2D - 1)


def test_it_runs_on_several_processes(suite):
    arguments = (
        "--refconv-target",
        in_file("bias_missing"),
        "--refconv-dtype",
        "float32",
        "-k",
        "bias or kernel or impulse",
    )
    plugins = ("refconv.conformance.pytest_plugin", "_hypothesis_pytestplugin", "xdist.plugin")
    result = suite(*arguments, "-n", "2", plugins=plugins)
    result.assert_outcomes(passed=2, failed=1)


def test_without_the_option_nothing_is_collected_or_imported(suite, pytester):
    pytester.makeconftest("")
    pytester.makepyfile(
        "import sys\n"
        "def test_light():\n"
        "    assert not {'hypothesis', 'rich', 'torch', 'refconv.conformance.clauses'} & set(sys.modules)\n"
    )
    suite(plugins=("refconv.conformance.pytest_plugin",)).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--refconv-target", "no_such_library"), "*unknown target 'no_such_library'*"),
        (("--refconv-target", "refconv:conv2d", "--refconv-op", "conv9d"), "*the target has no op 'conv9d'*"),
        (("--refconv-target", "refconv:conv2d", "--refconv-profile", "none.toml"), "*cannot read none.toml*"),
        (("--refconv-target", "refconv:conv2d", "--refconv-xfail", "none.txt"), "*there is no file none.txt*"),
    ],
)
def test_mistakes_are_collection_errors_in_one_line(suite, arguments, message):
    result = suite(*arguments)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([message])
    assert "Traceback" not in result.stdout.str()


def test_options_that_mean_nothing_are_refused(suite):
    result = suite("--refconv-op", "conv2d")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--refconv-op needs --refconv-target*"])
