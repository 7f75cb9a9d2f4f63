"""Copies of the tree in which a bug is planted, built and tested."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .planted import KERNELS, node

TIME_LIMIT = 600
"""Seconds for the tests of one mutation; a hang is not a catch."""


def run(command, folder, seconds=None):
    """Exit status and output; None for the status if it took too long."""
    env = os.environ | {"PYTHONPATH": str(folder)}
    try:
        done = subprocess.run(
            command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired as stopped:
        return None, str(stopped.stdout)
    return done.returncode, done.stdout


def build(folder):
    status, output = run([sys.executable, "setup.py", "build_ext", "--inplace"], folder)
    if status != 0:
        raise SystemExit(f"the build failed in {folder}\n{output[-3000:]}")


def instruction_set(folder):
    """For which of its builds the fast kernel is used here; also makes sure that it is this copy that is tested."""
    program = "import refconv; from refconv.kernels import isa; print(refconv.__file__, isa.level)"
    status, output = run([sys.executable, "-c", program], folder)
    if status != 0 or not Path(output.split()[0]).is_relative_to(folder):
        raise SystemExit(f"the copy in {folder} is not what Python imports: {output}")
    return output.split()[1]


def pytest(tests, folder):
    nodes = [node(test) for test in tests]
    return run(
        [sys.executable, "-m", "pytest", "-q", "-rf", "--tb=no", "-p", "no:cacheprovider", *nodes], folder, TIME_LIMIT
    )


def copy(source, target):
    """A copy with time stamps, so that what was built before need not be built again."""
    ignored = shutil.ignore_patterns(
        ".git", ".venv", ".hypothesis", ".ruff_cache", ".pytest_cache", "__pycache__", "dist"
    )
    shutil.copytree(source, target, ignore=ignored)


def apply(change, folder, level):
    """Replace the text, and make the build see the kernels that the mutation names, and only those, as changed.

    `level` is the instruction set in use: the builds of the fast kernel for others stay as they are.
    """
    path = folder / change.file
    text = path.read_text()
    if text.count(change.old) != 1:
        return f"the text to replace occurs {text.count(change.old)} times in {change.file}"
    before = path.stat()
    path.write_text(text.replace(change.old, change.new))
    if path.suffix == ".pxd":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    for kernel in change.kernels:
        source = folder / KERNELS / f"{kernel}.pyx"
        copy_of_isa = folder / "build" / "isa" / f"{kernel}_{level}.pyx"
        os.utime(copy_of_isa if copy_of_isa.exists() else source)
    return None


def judge(change, base, level):
    """Verdict on one mutation: "caught", or what is wrong."""
    with tempfile.TemporaryDirectory(prefix=f"refconv-{change.name}-") as name:
        folder = Path(name) / "tree"
        copy(base, folder)
        problem = apply(change, folder, level)
        if problem:
            return problem
        if change.kernels:
            status, output = run([sys.executable, "setup.py", "build_ext", "--inplace"], folder)
            if status != 0:
                return f"does not compile: {output.strip().splitlines()[-1]}"
        status, output = pytest(change.tests, folder)
    if status is None:
        return f"the tests did not end within {TIME_LIMIT} s"
    failed = [line.removeprefix("FAILED ") for line in output.splitlines() if line.startswith("FAILED ")]
    missed = [test for test in change.tests if not any(f.startswith(node(test)) for f in failed)]
    if status not in (0, 1):
        return f"pytest ended with status {status}: {output.strip().splitlines()[-1]}"
    return f"SURVIVED {', '.join(missed)}" if missed else "caught"
