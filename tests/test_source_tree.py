"""What is imported from a source tree that is not compiled: an error that says so, and what to do."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import refconv

SOURCES = Path(refconv.__file__).parent


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A folder with the package as a clone has it, nothing compiled."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(SOURCES, folder / "refconv", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
    return folder


def failed(folder, program):
    """What Python writes, in a folder, when a program fails."""
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize("program", ["import refconv", "import refconv.testing"])
def test_sources_say_that_they_are_not_compiled_and_what_to_do(program, tree):
    last = failed(tree, program).splitlines()[-1]
    assert last.startswith(f"ImportError: refconv in {tree / 'refconv'} is a source tree that is not compiled")
    assert "start Python in another folder" in last
    assert "pip install -e ." in last


def test_another_module_that_is_missing_is_named_as_ever(tree):
    broken = tree / "broken"
    shutil.copytree(tree / "refconv", broken / "refconv")
    (broken / "refconv" / "grad" / "__init__.py").write_text("import no_such_module\n")
    assert failed(broken, "import refconv").splitlines()[-1] == "ModuleNotFoundError: No module named 'no_such_module'"
