"""README.md tells the truth: its examples run and print what it says, its commands exist, its excerpts are verbatim."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import refconv

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
# What the machine of a reader does, not that of the tests; the order matters.
INSTALLATION = [
    "git clone ADDRESS refconv",
    "python3 -m venv refconv-venv",
    ". refconv-venv/bin/activate",
    "pip install './refconv[conformance]'",
]
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks(language):
    return [text for kind, text in BLOCKS if kind == language]


def test_every_block_is_of_a_kind_that_is_tested_here():
    assert {kind for kind, _ in BLOCKS} == {"python", "console", "cython", "text"}


def test_sessions_print_what_they_say():
    """All of them are one session: names go on from block to block."""
    session = "\n".join(block for block in blocks("python") if block.startswith(">>>"))
    test = doctest.DocTestParser().get_doctest(session, {}, "README.md", str(ROOT / "README.md"), 0)
    assert len(test.examples) > 20
    report = []
    doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=report.append)
    assert not report, "".join(report)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A directory with the files that README shows."""
    folder = tmp_path_factory.mktemp("readme")
    for block in blocks("python"):
        if named := re.match(r"# (\w+\.py)\n", block):
            (folder / named[1]).write_text(block)
    return folder


def commands():
    """Every command of a console block, with what it prints."""
    found = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", "".join(blocks("console")), re.MULTILINE)
    return [pytest.param(command, output, id=command) for command, output in found]


@pytest.mark.parametrize(("command", "output"), commands())
def test_commands_print_what_they_say(command, output, files):
    program, *arguments = shlex.split(command)
    if program == "make":
        assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return
    if program in ("git", "python3", ".", "pip"):
        assert command in INSTALLATION
        return
    assert program == "refconv"
    done = subprocess.run(
        [sys.executable, "-m", "refconv", *arguments],
        cwd=files,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    # Lines of dots stand for what was left out.
    assert doctest.OutputChecker().check_output(output, done.stdout, OPTIONS), done.stdout + done.stderr
    assert done.returncode == 1, "the implementation in README has a bug"


def test_the_command_under_the_problem_prints_the_same():
    (words,) = re.findall(r'`refconv explain "(.*?)"` prints the same', README)
    done = subprocess.run(
        [sys.executable, "-m", "refconv", "explain", words],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    problem, _, axes = done.stdout.partition("\n\n")
    assert f"\n{problem}\n" in README
    assert axes.startswith("Height: ")


def test_the_profile_is_one():
    (text,) = (block for block in blocks("text") if "[unsupported]" in block)
    from refconv.conformance.profile import Profile

    assert Profile.from_dict(tomllib.loads(text)).unsupported == {"dilation": "not written yet"}


def test_make_targets_in_the_text_exist():
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"`make ([\w-]+)`", README))
    assert {"check", "test", "bench", "mutation"} <= named
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def code_lines(text):
    """Without comments, indentation, empty lines, and what lets Ctrl-C through."""
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("poll(")]


def test_the_loop_nest_is_that_of_the_kernel():
    (excerpt,) = (block for block in blocks("cython") if block.startswith("for "))
    kernel = (ROOT / "refconv" / "kernels" / "direct.pyx").read_text()
    nest = re.search(r"# \[loop-nest\]\n +with nogil:\n(.*)# \[/loop-nest\]", kernel, re.DOTALL)[1]
    assert code_lines(excerpt) == code_lines(nest)


def test_the_cython_example_computes_what_exact_dot_does(tmp_path):
    (example,) = (block for block in blocks("cython") if "cimport" in block)
    (tmp_path / "example.pyx").write_text(example)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "Cython.Build.Cythonize", "--inplace", "example.pyx"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    program = (
        "import numpy, example; print(example.dot(numpy.array([1e300, 3.0, -1e300]), numpy.array([1e300, 0.1, 1e300])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = refconv.exact_dot([1e300, 3.0, -1e300], [1e300, 0.1, 1e300], dtype="float32")
    assert int(done.stdout) == int(expected.view("uint32"))


def test_files_named_in_the_text_exist():
    named = set(re.findall(r"`([\w/]+\.(?:py|pyx|md))`", README)) | set(re.findall(r"\]\(([\w./]+)\)", README))
    assert len(named) > 3
    for name in named - {"mine.py"}:
        assert (ROOT / name).is_file(), name


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"])
def test_links_within_a_page_have_a_target(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w -]", "", line.lower()).strip().replace(" ", "-") for line in re.findall(r"^#+ (.*)$", text, re.M)
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", text)) <= headings
