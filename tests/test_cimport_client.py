"""Other Cython code can cimport the accumulator; `cimport_client/client.pyx` is such code, built here."""

import importlib.util
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import hard_cases
import numpy as np
import oracle
import pytest
from hard_cases import KINDS, Pair
from oracle import FORMATS, from_bits, to_bits, units

import refconv

FLOAT64 = FORMATS["float64"]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """The client, compiled in a directory of its own: it finds refconv's .pxd by way of the import path."""
    folder = tmp_path_factory.mktemp("client")
    shutil.copy(Path(__file__).parent / "cimport_client" / "client.pyx", folder)
    package = Path(refconv.__file__).parent.parent
    built = subprocess.run(
        [sys.executable, "-m", "Cython.Build.Cythonize", "--inplace", "client.pyx"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(package), "CFLAGS": "-O0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (library,) = [path for path in folder.iterdir() if path.suffix in (".so", ".pyd")]
    spec = importlib.util.spec_from_file_location("client", library)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", KINDS)
def test_one_sum_is_rounded_to_every_format_as_exact_dot_rounds_it(client, kind):
    """Rounding must not use the sum up: the second format gets what the first did."""
    for fmt in FORMATS.values():  # the format that the sums are hard for
        for case in hard_cases.cases(kind, Pair(FLOAT64, fmt), 30):
            x, w = from_bits(case.xs, FLOAT64), from_bits(case.ws, FLOAT64)
            found = client.round_to_all(x, w)
            assert found == [oracle.encode(case.value, out) for out in FORMATS.values()]
            assert found == [to_bits(refconv.exact_dot(x, w, dtype=out.dtype))[0] for out in FORMATS.values()]


def test_a_sum_goes_on_after_it_was_rounded(client):
    rng = random.Random(1)
    x = [rng.uniform(-1, 1) * 2.0 ** rng.randrange(-60, 60) for _ in range(200)]
    expected = [FLOAT64.round(sum(map(units, x[: i + 1]))) for i in range(len(x))]
    assert len({encoding >> 63 for encoding in expected}) == 2, "no change of sign, so half of the test is missing"
    assert client.running_sums(np.array(x)) == expected


def test_passing_the_carries_on_after_2_to_the_29_terms_changes_nothing(client):
    """Half a billion terms take too long here; the accumulator is told that it has seen nearly as many."""
    for case in hard_cases.cases("random_bits", Pair(FLOAT64, FLOAT64), 200):
        x, w = from_bits(case.xs, FLOAT64), from_bits(case.ws, FLOAT64)
        before = 2**29 - 1 - len(case.xs) // 2
        terms, encoding = client.settled_on_the_way(x, w, before)
        assert terms < len(case.xs), "the carries were not passed on"
        assert encoding == oracle.encode(case.value, FLOAT64)
