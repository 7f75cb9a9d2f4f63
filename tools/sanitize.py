"""Run the kernel tests on builds that watch memory and arithmetic.

    python tools/sanitize.py              AddressSanitizer and UndefinedBehaviorSanitizer, then Cython's bounds checks
    python tools/sanitize.py sanitize     the first only;  `debug` for the second only
    python tools/sanitize.py --self-test  plant an out-of-bounds access first and demand that the build catches it

Each build is made in a copy of the tree in a temporary directory. Tests that import torch are left out: its libraries
are not built for AddressSanitizer. GCC or Clang on Linux.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

TESTS = [
    "tests/test_exact_dot.py",
    "tests/test_conv2d_values.py",
    "tests/test_conv2d_layouts.py",
    "tests/test_conv2d_special.py",
    "tests/test_determinism.py",
    "tests/test_limits.py",
    "tests/test_algorithms_agree.py",
    "tests/test_rounding_bounds.py",
    "tests/test_family_values.py",
    "tests/test_family_relations.py",
    "tests/test_family_layouts.py",
    "tests/test_weight_rows.py",
    "tests/test_screening.py",
    "tests/test_modular_sums.py",
    "tests/test_integers.py",
    "tests/test_integer_layouts.py",
    "tests/test_complex.py",
    "tests/test_float8.py",
]
# The first starts a process that imports torch; the second measures memory, of which a sanitizer takes its own share.
LEFT_OUT = "not flush_to_zero and not memory_error_comes_before"

# What --self-test plants for each build, and a module that must fail then: a buffer that is one element too short,
# which only a sanitizer sees; the right border read one column too far, which bounds checks see.
PLANTED = {
    "sanitize": (
        "refconv/kernels/workspace.pxd",
        "call.taps = <Py_ssize_t*>take(region, f.terms * sizeof(Py_ssize_t))",
        "call.taps = <Py_ssize_t*>take(region, (f.terms - 1) * sizeof(Py_ssize_t))",
    ),
    "debug": ("refconv/kernels/direct.pyx", "iw >= W:", "iw > W:"),
}
PLANTED_TESTS = ["tests/test_conv2d_special.py"]


def copy_of_tree(folder):
    """The sources that git knows or would add, without what was built from them."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def plant(build, folder):
    name, old, new = PLANTED[build]
    path = folder / name
    text = path.read_text()
    if text.count(old) != 1:
        raise SystemExit(f"--self-test: {old!r} occurs {text.count(old)} times in {name}")
    path.write_text(text.replace(old, new))


def library(name):
    """Path of one of the compiler's run-time libraries."""
    compiler = os.environ.get("CC", "gcc")
    return subprocess.run(
        [compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
    ).stdout.strip()


def environment(build, folder):
    """Environment in which the tests of a build run."""
    env = os.environ | {"PYTHONPATH": str(folder)}
    if build == "sanitize":
        env |= {
            # The interpreter is not linked against the sanitizer, so it has to be there first. libstdc++ comes along
            # because the sanitizer looks for its exception functions at once.
            "LD_PRELOAD": f"{library('libasan.so')} {library('libstdc++.so')}",
            # Leaks: the interpreter's own at exit. A failed allocation must be a MemoryError, not the end.
            "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
            "UBSAN_OPTIONS": "print_stacktrace=1",
            # Every object in memory of its own, so that reading beyond one is seen.
            "PYTHONMALLOC": "malloc",
        }
    return env


def build_and_test(build, planted):
    """Exit status of the tests on one build; the copy is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"refconv-{build}-") as name:
        folder = Path(name)
        copy_of_tree(folder)
        if planted:
            plant(build, folder)
        compiled = subprocess.run(
            [sys.executable, "setup.py", "build_ext", "--inplace", f"--parallel={os.cpu_count()}"],
            cwd=folder,
            env=os.environ | {"REFCONV_BUILD": build},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if compiled.returncode != 0:
            raise SystemExit(f"{build}: the build failed\n{compiled.stdout}")
        # pytest's capture would swallow the sanitizer's report with the process, hence -s. A worker that the sanitizer
        # ends is reported with the test that it ran.
        options = ["-q", "-s", "-n", "auto", "-p", "no:cacheprovider", "-k", LEFT_OUT]
        tests = ["-x", *PLANTED_TESTS] if planted else TESTS
        pytest = [sys.executable, "-m", "pytest", *options, *tests]
        return subprocess.run(pytest, cwd=folder, env=environment(build, folder), check=False).returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    # Where none is named, argparse demands that [] is a choice.
    parser.add_argument("builds", nargs="*", choices=["sanitize", "debug", []], help="by default both")
    parser.add_argument("--self-test", action="store_true", help="demand that a planted out-of-bounds access is caught")
    arguments = parser.parse_args()
    failed = []
    for build in arguments.builds or PLANTED:
        if arguments.self_test and build_and_test(build, planted=True) == 0:
            failed.append(f"{build}: the planted out-of-bounds access was not caught")
        if build_and_test(build, planted=False) != 0:
            failed.append(f"{build}: the tests failed")
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
