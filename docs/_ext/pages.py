"""The pages as a sequence of text and fenced blocks, and running their code: for the build, the notebooks, the tests.

Every page is one session. Its blocks of ``>>>`` lines are doctests; its pictures are code that may use the names of the
blocks above and whose last line is the picture.
"""

import ast
import doctest
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

__all__ = ["Block", "Session", "blocks"]

FENCE = re.compile(r"^```(\{?[\w-]*\}?)(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    """A fenced block of a page."""

    kind: str  # 'python', 'console', '{picture}', ...
    argument: str  # what follows on the line of the fence
    options: dict[str, str]
    text: str
    line: int  # of the fence, from 1
    start: int  # place in the page
    end: int

    @property
    def runs(self) -> bool:
        """Whether the block is a part of the page's session."""
        return (self.kind == "python" and self.text.startswith(">>>")) or self.kind in ("{picture}", "{animation}")


def blocks(page: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page's text."""
    for match in FENCE.finditer(page):
        kind, argument, body = match.groups()
        options = {}
        while kind.startswith("{") and (option := re.match(r":([\w-]+):(.*)\n", body)):
            options[option[1]] = option[2].strip()
            body = body[option.end() :]
        line = page.count("\n", 0, match.start()) + 1
        yield Block(kind, argument.strip(), options, body.lstrip("\n"), line, *match.span())


class Session:
    """The names that the code of a page has made so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names: dict[str, object] = {"__name__": "__page__"}
        self._left = [block for block in blocks(path.read_text(encoding="utf-8")) if block.runs]

    def run_until(self, line: int | None = None) -> list[str]:
        """Run the blocks before a line, or all, that have not been run, and return what was wrong with their output."""
        report = []
        while self._left and (line is None or self._left[0].line < line):
            block = self._left.pop(0)
            if block.kind == "python":
                report += self._doctest(block)
            else:
                self.value(block.text)
        return report

    def skip_to(self, line: int) -> None:
        """Leave out the blocks up to and including a line."""
        while self._left and self._left[0].line <= line:
            self._left.pop(0)

    def value(self, code: str) -> object:
        """Run the code of a picture and return the value of its last line."""
        tree = ast.parse(code)
        last = tree.body.pop()
        if not isinstance(last, ast.Expr):
            raise ValueError(
                f"{self.path.name}: the last line of a picture must be the picture, not {ast.unparse(last)}"
            )
        with at_home(self.path):
            exec(compile(tree, str(self.path), "exec"), self.names)
            return eval(compile(ast.Expression(last.value), str(self.path), "eval"), self.names)

    def _doctest(self, block: Block) -> list[str]:
        name = f"{self.path.name}, line {block.line}"
        test = doctest.DocTestParser().get_doctest(block.text, self.names, name, str(self.path), block.line)
        report = []
        with at_home(self.path):
            runner = doctest.DocTestRunner(optionflags=OPTIONS)
            runner.run(test, out=report.append, clear_globs=False)
        self.names = test.globs
        return report


@contextmanager
def at_home(path: Path) -> Iterator[None]:
    """Work in the directory of a page, where its data files are."""
    before = os.getcwd()
    os.chdir(path.parent)
    try:
        yield
    finally:
        os.chdir(before)
