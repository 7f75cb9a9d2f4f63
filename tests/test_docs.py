"""The pages of the documentation tell the truth: their code runs and prints what they say, their commands exist."""

import doctest
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "_ext"))

from anchors import Note, generated_c, notes, segments  # noqa: E402
from pages import OPTIONS, Session, blocks  # noqa: E402

# CHANGELOG and README have tests of their own.
PAGES = sorted(path for path in DOCS.rglob("*.md") if not {"_build", "_ext"} & set(path.relative_to(DOCS).parts))
COURSE = sorted((DOCS / "course").glob("[0-9]*.md"))


def page_id(path):
    return str(path.relative_to(DOCS).with_suffix(""))


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_sessions_print_what_they_say_and_pictures_are_drawn(path):
    session = Session(path)
    report = session.run_until()
    assert not report, "".join(report)


def test_a_session_notices_what_is_wrong(tmp_path):
    page = "```python\n>>> 1 + 1\n3\n```\n"
    (tmp_path / "wrong.md").write_text(page)
    (report,) = Session(tmp_path / "wrong.md").run_until()
    assert "Expected:\n    3\nGot:\n    2" in report


def commands():
    for path in PAGES:
        for block in blocks(path.read_text(encoding="utf-8")):
            if block.kind == "console":
                for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
                    yield pytest.param(command, output, id=f"{page_id(path)}: {command}")


@pytest.mark.parametrize(("command", "output"), list(commands()))
def test_commands_exist_and_print_what_they_say(command, output):
    program, *arguments = shlex.split(command)
    if not output:
        assert program in ("pip", "refconv", "make", "pytest")
        return
    assert program == "refconv"
    done = subprocess.run(
        [sys.executable, "-m", "refconv", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert doctest.OutputChecker().check_output(output, done.stdout + done.stderr, OPTIONS), done.stdout + done.stderr


@pytest.mark.parametrize("path", COURSE, ids=page_id)
def test_a_page_of_the_course_has_all_its_parts(path):
    page = path.read_text(encoding="utf-8")
    assert "**The idea:**" in page
    assert "```{picture}" in page
    assert re.search(r"[Cc]heck (it|the|each)", page), "a number to check by hand"
    assert "## The same in PyTorch" in page or "import torch" in page
    exercises = page[page.index("## Exercises") :]
    assert re.findall(r"^(\d)\. ", exercises, re.MULTILINE) == ["1", "2"]
    assert exercises.count(":::{dropdown} Answer\n") == 2
    assert page.count("```{notebook}") == 1


def test_the_course_has_ten_pages_in_order():
    index = (DOCS / "course" / "index.md").read_text(encoding="utf-8")
    listed = re.findall(r"^(\d\d_\w+)$", index, re.MULTILINE)
    assert listed == [path.stem for path in COURSE]
    assert len(listed) == 10


def test_every_block_is_of_a_kind_that_is_tested():
    """A block of another kind would look like code and never be run."""
    for path in PAGES:
        for block in blocks(path.read_text(encoding="utf-8")):
            known = block.runs or block.kind in ("console", "text", "cython") or block.kind.startswith("{")
            generated = path.name in ("tolerance.md", "kill_matrix.md", "mistakes.md", "survey.md")
            assert known or generated, f"{page_id(path)}, line {block.line}: {block.kind}"


# ---- Reading the loops ----


@pytest.mark.parametrize("name", ["direct", "exact"])
def test_notes_have_their_lines(name):
    found = 0
    for block in blocks((DOCS / "reading" / f"{name}.md").read_text(encoding="utf-8")):
        if block.kind != "{commentary}":
            continue
        source = (ROOT / block.argument).read_text(encoding="utf-8").splitlines()
        commentary = notes(block.text.splitlines())
        parts = segments(source, commentary, name)
        assert [line for _, first, end in parts for line in source[first:end]] == source, "all of it is shown"
        assert all(note.text.strip() for note in commentary)
        found += len(commentary)
        # A changed line, a repeated line and notes in the wrong order are errors.
        with pytest.raises(ValueError, match="in 0 lines"):
            segments(source, [*commentary, Note("no such line", "", 0)], name)
        with pytest.raises(ValueError, match="in 2 lines"):
            segments([commentary[0].anchor, *source], commentary[:1], name)
        with pytest.raises(ValueError, match=r"in \d lines after line"):
            segments(source, commentary[::-1], name)
    assert found > 15


def test_the_c_of_a_line_is_that_of_the_line():
    pytest.importorskip("Cython")
    kernel = ROOT / "refconv" / "kernels" / "direct.pyx"
    number, code = generated_c(kernel, "iw = ow * stride_w", "# [loop-nest]")
    assert kernel.read_text().splitlines()[number - 1].strip().startswith("iw = ow")
    assert code.startswith("__pyx_v_iw = (((__pyx_v_ow * __pyx_v_stride_w) - __pyx_v_pad_left)")
    assert code.count("\n") == 0


# ---- Notebooks ----


@pytest.mark.parametrize("path", COURSE, ids=page_id)
def test_a_notebook_runs_and_shows_pictures(path, monkeypatch):
    pytest.importorskip("nbformat")
    pytest.importorskip("sphinx")
    from notebooks import notebook

    made = json.loads(json.dumps(notebook(path.read_text(encoding="utf-8"), "title")))
    monkeypatch.chdir(path.parent)
    names, drawn = {}, 0
    for cell in made["cells"]:
        text = cell["source"]
        if cell["cell_type"] == "markdown":
            assert ">>>" not in text
            assert "```{" not in text
            assert ":::" not in text
            assert not re.search(r"\{\w+\}`", text)
            assert "](../" in text or ".md)" not in text
            continue
        code = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
        *_, last = code.splitlines()
        drawn += last.startswith("figures.")
        if "raises-exception" in cell["metadata"].get("tags", ()):
            with pytest.raises((RuntimeError, TypeError)):
                exec(code, names)
        else:
            exec(code, names)
    assert drawn >= 1
