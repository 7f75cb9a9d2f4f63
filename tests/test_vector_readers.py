"""The readers of golden vectors in C and JavaScript: a plain convolution passes, and bugs in it are noticed."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from vector_corpora import change, index_of, line_of, small_corpus, whole_corpus

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return whole_corpus(tmp_path_factory)


@pytest.fixture
def small(tmp_path):
    return small_corpus(tmp_path)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Compile a text as C."""

    def compile_text(text):
        directory = tmp_path_factory.mktemp("reader")
        source, program = directory / "reader.c", directory / "reader"
        source.write_text(text)
        compiler = shutil.which("cc") or "gcc"
        subprocess.run(
            [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source, "-lm"], check=True, timeout=120
        )
        return program

    return compile_text


def need_node():
    if shutil.which("node") is None:
        # CI requires it; nobody else has to install another language for the sake of an example.
        (pytest.fail if os.environ.get("REFCONV_NODE") == "required" else pytest.skip)("there is no node here")


@pytest.fixture(params=["c", "js"])
def run_reader(request, compiled, tmp_path):
    """Run a reader on a corpus, with a bug planted in it or without."""
    if request.param == "js":
        need_node()

    def run(directory, planted=None):
        texts = {path.name: path.read_text() for path in EXAMPLES.glob(f"vectors_*.{request.param}")}
        if planted:
            old, new = planted[request.param]
            (name,) = (name for name, text in texts.items() if old in text)
            assert texts[name].count(old) == 1
            texts[name] = texts[name].replace(old, new)
        if request.param == "c":
            command = [compiled(*texts.values()), *sorted(directory.glob("*/*/*.json"))]
        else:
            for name, text in texts.items():
                (tmp_path / name).write_text(text)
            command = ["node", tmp_path / "vectors_reader.js", directory]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    return run


def test_a_plain_convolution_in_another_language_passes(run_reader, corpus):
    result = run_reader(corpus)
    count = len(index_of(corpus)["vectors"])
    assert (result.returncode, result.stdout) == (0, f"{count} vectors, 0 wrong\n"), result.stderr


BUGS = {
    "dilation": {"c": ("ty * dilation[1]", "ty"), "js": ("t * d[a]", "t * d[2]")},
    "asymmetric": {"c": ("- padding[1]", "- padding[2]"), "js": ("- p[a]", "- p[2]")},
    "groups": {"c": ("k / Kg * Cg", "k / Kg * 0"), "js": ("Math.floor(k / Kg) * Cg", "Math.floor(k / Kg) * 0")},
    "rounded": {
        "c": ("(float)(*sum + (float)term)", "rint(4096 * (*sum + term)) / 4096"),
        "js": (": Math.fround", ": (y) => Math.round(y * 4096) / 4096"),
    },
    "plain": {"c": ("= strtod(at, NULL)", "= fabs(strtod(at, NULL))"), "js": ("(sign ? -1 : 1)", "(sign ? 1 : 1)")},
}


@pytest.mark.parametrize("theme", BUGS)
def test_a_bug_in_the_convolution_is_noticed(run_reader, corpus, theme):
    result = run_reader(corpus, BUGS[theme])
    assert result.returncode == 1, result.stderr
    assert f"conv2d/float32/{theme}-0" in result.stdout


def test_a_wrong_number_in_the_corpus_is_noticed(run_reader, small):
    path = "conv2d/float32/kernel-0.json"
    line = line_of(small, path, b"result")
    first = line.split(b'"')[3]
    last_place = np.nextafter(np.float32(float.fromhex(first.decode())), np.float32(np.inf))
    change(small, path, line, line.replace(first, float(last_place).hex().encode(), 1), listed=False)
    result = run_reader(small)
    assert result.returncode == 1
    assert len(result.stdout.splitlines()) == 2
    assert "conv2d/float32/kernel-0" in result.stdout


def test_another_convolution_is_named_on_the_command_line(small, tmp_path):
    need_node()
    (tmp_path / "mine.js").write_text("module.exports = ({ result }) => result.map(() => 0.25);\n")
    command = ["node", EXAMPLES / "vectors_reader.js", small, "mine.js"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)
    assert result.returncode == 1, result.stderr
    assert re.search(r"^conv2d/int8/plain-0: \d+ of \d+ numbers are wrong$", result.stdout, re.MULTILINE)
    assert result.stdout.splitlines()[-1].startswith(f"{len(index_of(small)['vectors'])} vectors, ")
