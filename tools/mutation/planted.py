"""What a planted bug is."""

from dataclasses import dataclass
from pathlib import Path

KERNELS = "refconv/kernels/"


@dataclass(frozen=True)
class Mutation:
    """A bug: where it is planted, and which tests have to notice.

    A test is named by its file without test_ and .py, then the test, with parameters where one of many is enough:
    "conv2d_values::test_the_kernel_is_not_flipped[direct]".

    `rebuild` names the kernels to compile again; by default that of the file, if it is a kernel. A .pxd needs it: only
    one of the modules that include it is rebuilt, which saves time and suffices.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple
    rebuild: tuple = ()

    @property
    def kernels(self):
        path = Path(self.file)
        return self.rebuild or ((path.stem,) if path.suffix == ".pyx" else ())


def mutation(name, file, old, new, *tests, rebuild=()):
    return Mutation(name, file, old, new, tests, rebuild)


def node(test):
    """pytest's name of a test."""
    file, name = test.split("::", 1)
    return f"tests/test_{file}.py::{name}"
