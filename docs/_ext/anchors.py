"""Sources and what is said about their lines, tied together by text.

A note belongs to the one line that contains its anchor. If a source changes so that an anchor is gone, or is there
twice, that is an error: of the build, and of a test.
"""

import itertools
import re
import tempfile
from pathlib import Path
from typing import NamedTuple

__all__ = ["ROOT", "AnchorError", "Note", "find_anchor", "generated_c", "notes", "segments"]

ROOT = Path(__file__).parents[2]


class Note(NamedTuple):
    """A piece of commentary and the line that it belongs to."""

    anchor: str
    text: str
    line: int  # within the directive


class AnchorError(ValueError):
    """An anchor that is in a source not once, or not where it should be."""


def notes(content: list[str]) -> list[Note]:
    """Read a commentary: lines ``@ anchor``, each followed by a note in Markdown."""
    found: list[Note] = []
    for number, line in enumerate(content):
        if line.startswith("@ "):
            found.append(Note(line[2:].strip(), "", number + 1))
        elif found:
            found[-1] = found[-1]._replace(text=f"{found[-1].text}{line}\n")
        elif line.strip():
            raise AnchorError(f"a commentary begins with an anchor, '@ text of a line', not with {line!r}")
    return found


def find_anchor(source: list[str], anchor: str, name: str, after: int = 0) -> int:
    """Return the index of the line, the only one from a place on, that contains a text."""
    places = [index for index, line in enumerate(source) if anchor in line and index >= after]
    if len(places) != 1:
        raise AnchorError(f"{name} has {anchor!r} in {len(places)} lines after line {after}, and not in one")
    return places[0]


def segments(source: list[str], commentary: list[Note], name: str) -> list[tuple[Note | None, int, int]]:
    """Cut a source at the anchors: (note, first line, one past the last), all lines, in order."""
    places: list[int] = []
    for note in commentary:
        places.append(find_anchor(source, note.anchor, name, places[-1] + 1 if places else 0))
    cut = []
    if places[0] > 0:
        cut.append((None, 0, places[0]))
    return cut + list(zip(commentary, places, [*places[1:], len(source)], strict=True))


_translations: dict[Path, str] = {}


def generated_c(path: Path, anchor: str, after: str) -> tuple[int, str]:
    """Return the number of a line and the C code that Cython makes of it, for the first variant of a fused function.

    Parameters
    ----------
    path : Path
        Of a .pyx file.
    anchor, after : str
        The line is the only one with `anchor` in it after the line with `after` in it.
    """
    source = path.read_text(encoding="utf-8").splitlines()
    start = find_anchor(source, after, path.name)
    number = find_anchor(source, anchor, path.name, start) + 1
    if path not in _translations:
        _translations[path] = _translated(path)
    # Before the code of each line Cython writes a comment with the line's number, the line and its neighbours.
    comment = re.compile(r'^ *\/\* "([^"\n]*)":(\d+)\n(?: \*.*\n)*\*\/\n', re.MULTILINE)
    _, *chunks = comment.split(_translations[path])
    found: list[str] = []
    for file, line, code in zip(chunks[::3], chunks[1::3], chunks[2::3], strict=True):
        if Path(file).name != path.name:
            continue
        if found and int(line) <= start:
            break  # the next variant begins
        if int(line) == number:
            found.append(_dedented(code))
    if found:
        return number, "\n".join(part for part in found if part)
    raise AnchorError(f"Cython makes no code of line {number} of {path.name}")


def _translated(path: Path) -> str:
    from Cython.Compiler.Main import CompilationOptions, compile_single

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, path.with_suffix(".c").name)
        options = CompilationOptions(
            output_file=str(target),
            include_path=[str(ROOT)],
            compiler_directives={"language_level": 3, "boundscheck": False},
        )
        result = compile_single(str(path), options, full_module_name="refconv.kernels." + path.stem)
        if result.num_errors:
            raise AnchorError(f"Cython cannot translate {path.name}")
        return target.read_text(encoding="utf-8")


def _dedented(code: str) -> str:
    """Return the code at the depth of its first line, without what closes the blocks around it."""
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith("#line")]
    depth = len(lines[0]) - len(lines[0].lstrip()) if lines else 0
    inside = itertools.takewhile(lambda line: len(line) - len(line.lstrip()) >= depth, lines)
    return "\n".join(line[depth:] for line in inside)
