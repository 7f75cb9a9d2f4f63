"""The survey of libraries: what its page says about rows that fail, and whether its lists are complete."""

import importlib
import json
import re
import runpy
import sys
from pathlib import Path

import pytest

from refconv.conformance.adapters import ADAPTERS
from refconv.conformance.clauses import CLAUSES

SURVEY = Path(__file__).parent.parent / "tools" / "survey"


@pytest.fixture
def module(monkeypatch):
    """Return a module of the tool by its name."""
    pytest.importorskip("tomllib")
    monkeypatch.syspath_prepend(str(SURVEY))
    return importlib.import_module


def test_every_adapter_has_an_environment(module):
    listed = [name for one in module("environments").environments(Path("build")) for name in one.adapters]
    assert sorted(listed) == sorted(ADAPTERS)
    for one in module("environments").environments(Path("build")):
        assert set(one.options) <= set(one.adapters)


def test_deviations_are_about_targets_and_rows_that_there_are(module):
    for deviation in module("deviations").deviations():
        assert set(deviation.adapters) <= set(ADAPTERS), deviation.title
        assert deviation.output.strip(), deviation.title
        assert "refconv" not in deviation.script, deviation.title
        compile(deviation.script, deviation.title, "exec")
        re.compile(deviation.headline)
        for pattern in deviation.rows:
            clause = pattern.partition("/")[0]
            assert clause == "*" or clause in {clause.key for clause in CLAUSES}, (deviation.title, pattern)


def report(*failures, others=()):
    """A report of MLX with failing rows, as (key, headline), and others, as (key, outcome)."""
    rows = [
        {"key": key, "clause": key.partition("/")[0], "outcome": outcome, "cut_short": False} for key, outcome in others
    ]
    rows += [
        {
            "key": key,
            "clause": key.partition("/")[0],
            "outcome": "fail",
            "cut_short": False,
            "reason": "",
            "finding": {"headline": headline},
        }
        for key, headline in failures
    ]
    profile = {"ops": ["conv2d"], "dtypes": ["float32"], "claims": {}, "unsupported": {"conv3d:groups": "it has none"}}
    versions = {"mlx": "0.1", "python": "3.11"}
    return {"rows": rows, "profile": profile, "versions": versions, "started": "2026-01-02T03:04", "seconds": 7.6}


def page_of(module, content, deviation):
    one = module("page").Surveyed("mlx", content)
    return module("page").page([one], [(deviation, "printed now")], ["--seed", "1"])


def test_a_failure_that_nobody_has_looked_at_is_said_to_be_one(module):
    Deviation = module("deviations").Deviation
    known = Deviation(["mlx"], ["stride/*"], "wrong", "rows", "text", "print()", "printed then", "wrong$")
    failures = (
        ("stride/conv2d/float32", "1 wrong"),
        ("stride/conv1d/float32", "raised"),
        ("bias/conv2d/float32", "1 wrong"),
    )
    text = page_of(module, report(*failures), known)
    checked, unchecked = text.split("have not yet been checked by hand")
    assert "Fails: `stride/conv2d/float32`." in checked
    assert "printed now" in checked
    assert "printed then" in checked
    assert "`stride/conv1d/float32`: raised" in unchecked
    assert "`bias/conv2d/float32`: 1 wrong" in unchecked
    assert "`stride/conv2d/float32`" not in unchecked
    assert "groups > 1 (conv3d): it has none" in text


def test_what_several_deviations_begin_with_is_printed_once_and_run_with_each(module, tmp_path):
    Deviation = module("deviations").Deviation
    fields = {"adapters": ["mlx"], "rows": [], "kind": "wrong", "text": "text", "output": "2", "preamble": "one = 1"}
    both = [Deviation(title=title, code="print(one + one)", **fields) for title in ("first", "second")]
    one = module("page").Surveyed("mlx", report(("bias/conv2d/float32", "1 wrong")))
    text = module("page").page([one], [(deviation, "2") for deviation in both], [])
    assert text.count("one = 1") == 1
    assert text.count("print(one + one)") == 2
    assert text.index("one = 1") < text.index("print(one + one)")
    for deviation in both:
        assert interpreter_in(module, tmp_path).output_of(deviation.script) == "2"


STRIDE = [
    ("stride/conv1d/float32", "pass"),
    ("stride/conv2d/float32", "pass"),
    ("groups/conv2d/float32", "unsupported"),
]


@pytest.mark.parametrize(
    ("others", "verdict", "cell"),
    [
        (STRIDE, "It conforms to all that it was asked.", "✓"),
        (
            [*STRIDE, ("stride/conv3d/float32", "not run")],
            "No failure in the 2 rows that were run; for 1 others there was no time.",
            "✓ 2/3",
        ),
        ([("stride/conv2d/float32", "not run")], "No failure in the 0 rows that were run", "?"),
        ([("stride/conv2d/float32", "unsupported")], "It conforms to all that it was asked.", "·"),
    ],
)
def test_what_was_not_run_is_not_said_to_hold(module, others, verdict, cell):
    elsewhere = module("deviations").Deviation(["ncnn"], [], "wrong", "t", "x", "c", "o")
    text = page_of(module, report(others=others), elsewhere)
    assert f"**{verdict}" in text
    assert "not yet" not in text.partition("## Library by library")[2]
    (title,) = (clause.title for clause in CLAUSES if clause.key == "stride")
    assert f"| {title} (`stride`) | {cell} |" in text
    whole = not any(outcome == "not run" for _, outcome in others)
    assert ("Without a failure: `mlx`." in text) == whole
    # A clause that no report knows is not one that was declared.
    (other,) = (clause.title for clause in CLAUSES if clause.key == "bias")
    assert f"| {other} (" not in text
    assert other in text.partition("newer than the runs: ")[2].partition("\n")[0]


def test_who_has_a_deviation_is_not_said_to_be_without_when_no_row_met_it(module):
    unmet = module("deviations").Deviation(["mlx"], [], "wrong", "t", "x", "c", "o")
    text = page_of(module, report(others=STRIDE), unmet)
    assert "Without a failure:" not in text
    assert "Without a failure in this run, though a deviation is known: `mlx`." in text


def test_rows_with_fewer_cases_than_were_wanted_are_counted(module):
    content = report(others=STRIDE)
    content["rows"][0]["cut_short"] = True
    unseen = module("deviations").Deviation(["mlx"], [], "wrong", "t", "x", "c", "o")
    verdict = "It conforms to all that it was asked. For 1 of the rows that hold the time was enough for fewer cases"
    assert verdict in page_of(module, content, unseen)


def test_failing_rows_are_counted(module):
    unseen = module("deviations").Deviation(["mlx"], [], "wrong", "t", "x", "c", "o")
    more = [*STRIDE, ("bias/conv1d/float32", "pass"), ("bias/conv3d/float32", "not run")]
    text = page_of(module, report(("bias/conv2d/float32", "1 wrong"), others=more), unseen)
    assert "**1 of 4 rows that were run fail. For 1 others there was no time.**" in text
    assert "| `mlx` | 3 | 1 | 1 | 1 | " in text
    assert "(`bias`) | ✗ 1/3 |" in text
    assert "took up to 8 seconds" in text


def test_environments_and_single_targets_can_be_selected(module, monkeypatch):
    monkeypatch.syspath_prepend(str(SURVEY))
    tool = runpy.run_path(str(SURVEY / "__main__.py"), run_name="survey")
    every = module("environments").environments(Path("build"))

    def names(only, targets):
        return {environment.name: adapters for environment, adapters in tool["selected"](every, only, targets)}

    assert names(None, None) == {one.name: one.adapters for one in every}
    assert names(["onnxruntime"], None) == {"onnxruntime": ["onnxruntime", "onnxruntime:inputs", "onnx"]}
    assert names(None, ["torch", "onnx"]) == {"torch": ["torch"], "onnxruntime": ["onnx"]}
    assert names(["jax"], ["torch:compile"]) == {"torch": ["torch:compile"], "jax": ["jax"]}
    with pytest.raises(ValueError, match=r"^no environment torch:compile; there are torch, jax, "):
        names(["torch:compile"], None)
    with pytest.raises(ValueError, match=r"^no target mxl; there are torch, torch:channels_last, "):
        names(None, ["mxl"])


@pytest.mark.usefixtures("module")
def test_rows_that_had_no_time_are_asked_by_themselves(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(SURVEY))
    tool = runpy.run_path(str(SURVEY / "__main__.py"), run_name="survey")
    before = report(others=[*STRIDE, ("bias/conv2d/float32", "not run"), ("shift/conv3d/float16", "not run")])
    for row in before["rows"]:
        row["clause"], row["op"], row["dtype"] = row["key"].split("/")
    path = tmp_path / "mlx.json"
    path.write_text(json.dumps({**before, "conforms": True}))
    asked = []

    class Environment:
        name = "mlx"

        def check(self, adapter, later, options, _):
            asked.append((adapter, options))
            key = "/".join(options[place] for place in (-5, -3, -1))
            outcome = "fail" if "bias" in key else "pass"
            rows = [{"key": "stride/conv1d/float32", "outcome": "fail"}, {"key": key, "outcome": outcome, "seconds": 2}]
            later.write_text(json.dumps({"rows": rows}))

    tool["_ask_rest"](Environment(), "mlx", path, ["--seed", "1"])
    assert asked == [
        ("mlx", ["--seed", "1", "-k", "bias", "--op", "conv2d", "--dtype", "float32"]),
        ("mlx", ["--seed", "1", "-k", "shift", "--op", "conv3d", "--dtype", "float16"]),
    ]
    after = json.loads(path.read_text())
    outcomes = {row["key"]: row["outcome"] for row in after["rows"]}
    assert outcomes == {**dict(STRIDE), "bias/conv2d/float32": "fail", "shift/conv3d/float16": "pass"}
    assert after["seconds"] == before["seconds"] + 4
    assert after["conforms"] is False


def interpreter_in(module, directory):
    """This Python as an environment."""
    (directory / "bin").mkdir(exist_ok=True)
    if not (directory / "bin" / "python").exists():
        (directory / "bin" / "python").symlink_to(sys.executable)
    return module("environments").Environment("here", directory, [], [], [])


def test_code_is_run_by_itself_and_what_ends_it_is_said(module, tmp_path):
    one = interpreter_in(module, tmp_path)
    assert one.output_of("print(1)\nprint(2)") == "1\n2"
    assert one.output_of("print(1)\nraise ValueError('no')") == "1\nValueError: no"
    assert one.output_of("import os, signal\nos.kill(os.getpid(), signal.SIGFPE)") == "(killed by signal 8)"


def test_what_is_in_the_callers_path_is_put_into_an_environment_all_the_same(module, tmp_path, monkeypatch):
    """pip takes a distribution that it can import for one that is installed."""
    environments = module("environments")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    looks = "import os, pathlib; pathlib.Path('seen').write_text(os.environ.get('PYTHONPATH', 'none'))"
    monkeypatch.chdir(tmp_path)
    environments._run(sys.executable, "-c", looks)
    assert (tmp_path / "seen").read_text() == "none"
