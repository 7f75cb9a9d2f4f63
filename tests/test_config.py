"""What show_config() says, in processes of their own, since the instruction set is chosen at import."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import refconv
from refconv.kernels import isa

LABELS = ["refconv", "Python", "NumPy", "C compiler", "built", "supported", "in use", "modulo 2^52", "threads"]


def python(program, **environment):
    """The finished process of a program, run with these environment variables and without ours."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("REFCONV_")}
    return subprocess.run(
        [sys.executable, "-c", program],
        env=env | {"PYTHONPATH": str(Path(refconv.__file__).parent.parent)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def shown(**environment):
    """What show_config() prints, by label."""
    done = python("import refconv; assert refconv.show_config() is None", **environment)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line[14] for line in lines] == [" "] * len(lines), "the values are not aligned"
    rows = {line[:14].rstrip(): line[15:] for line in lines}
    assert list(rows) == LABELS
    return rows


def test_versions_are_those_of_this_installation():
    rows = shown()
    assert rows["refconv"] == f"{refconv.__version__}, {Path(refconv.__file__).parent}"
    assert rows["Python"].startswith(f"{sys.version.split()[0]}, ")
    assert rows["NumPy"] == np.__version__
    assert rows["C compiler"]


def test_the_best_supported_instruction_set_is_in_use():
    rows = shown()
    assert [entry.split()[0] for entry in rows["supported"].split(", ")] == isa.supported()
    assert rows["built"].endswith("baseline")
    assert rows["in use"] == f"{isa.supported()[0]}, the best of those supported"


@pytest.mark.parametrize("level", isa.supported())
def test_every_supported_instruction_set_can_be_forced(level):
    assert shown(REFCONV_ISA=level)["in use"] == f"{level}, forced by REFCONV_ISA"


def test_an_instruction_set_that_is_not_there_stops_the_import():
    done = python("import refconv", REFCONV_ISA="v9")
    assert done.returncode == 1
    assert f"ImportError: REFCONV_ISA='v9': expected one of {', '.join(isa.supported())}" in done.stderr


def test_threads_are_the_cpus_or_what_the_environment_says():
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert shown()["threads"] == f"{cpus}, the CPUs that this process may run on"
    assert shown(REFCONV_NUM_THREADS="3")["threads"] == "3, forced by REFCONV_NUM_THREADS"


def test_a_useless_number_of_threads_is_reported_and_not_raised():
    assert "REFCONV_NUM_THREADS must be" in shown(REFCONV_NUM_THREADS="many")["threads"]
