"""Implementations that installed packages offer as entry points: found, listed, checked; refused if they are none."""

import os
import subprocess
import sys

import pytest

from refconv.conformance.targets.base import TargetError
from refconv.conformance.targets.load import load_target

MODULE = """
import refconv
from refconv.conformance.profile import Profile

def fast(input, weight, bias, stride, padding, dilation, groups):
    return refconv.conv2d(input, weight, bias, stride, padding, dilation, groups)

fast.refconv_profile = Profile(dtypes=("float32",), unsupported={"groups": "not written yet"})

def conv1d(*call):
    return refconv.conv1d(*call)

class Engine:
    @staticmethod
    def convolve(input, weight, bias, *rest):
        return refconv.conv2d(input, weight, None, *rest)

family = {"conv1d": conv1d, "conv2d": Engine.convolve}
answer = 42
"""

ENTRY_POINTS = """
[refconv.implementations]
acme = acme_conv:fast
acme-line = acme_conv:conv1d
acme-engine = acme_conv:Engine.convolve
acme-family = acme_conv:family
acme-answer = acme_conv:answer
acme-module = acme_conv
acme-gone = acme_conv:gone
acme-broken = acme_broken:fast

[another.group]
acme-other = acme_conv:fast
"""


@pytest.fixture
def installed(tmp_path):
    """A directory with an installed package, as pip leaves one."""
    site = tmp_path / "site"
    about = site / "acme_conv-1.5.dist-info"
    about.mkdir(parents=True)
    (site / "acme_conv.py").write_text(MODULE)
    (site / "acme_broken.py").write_text("import no_such_engine\n")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-conv\nVersion: 1.5\n")
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    return site


@pytest.fixture
def check(installed, tmp_path):
    """Runs ``refconv check`` where the package is installed."""

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "refconv", "check", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), *sys.path])},
        )

    return run


@pytest.mark.skipif(sys.platform != "linux", reason="isolation needs Linux")
def test_an_entry_point_is_checked_as_it_says_itself_and_in_a_process_of_its_own(check):
    done = check("acme", "--cases", "3", "-k", "group")
    assert done.returncode == 2, done.stderr  # all that was asked for is declared unsupported
    assert "groups, groups-as-blocks: groups > 1: not written yet" in done.stdout
    done = check("acme", "--cases", "3", "-k", "bias")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("acme conforms: 1 clause holds (3 cases, ")


def test_the_function_of_an_entry_point_is_known_by_its_name(check):
    rows = check("acme-line", "--dry-run", "-k", "flipped", "--cases", "1").stdout.splitlines()
    assert [row.split()[0] for row in rows[:-1]] == ["kernel/conv1d/float32", "kernel/conv1d/float64"]
    rows = check("acme-family", "--dry-run", "-k", "flipped", "--cases", "1", "--dtype", "float32").stdout.splitlines()
    assert [row.split()[0] for row in rows[:-1]] == ["kernel/conv1d/float32", "kernel/conv2d/float32"]


@pytest.mark.parametrize("name", ["acme-engine", "acme-family"])
def test_the_script_of_a_failure_imports_the_package(name, check, installed, tmp_path):
    done = check(name, "--cases", "20", "--seed", "1", "-k", "bias", "--dtype", "float32", "--op", "conv2d")
    assert done.returncode == 1, done.stderr
    pasted = tmp_path / "pasted.py"
    pasted.write_text(done.stdout[done.stdout.index("import numpy as np") : done.stdout.index("    again:")])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), *sys.path])}
    outcome = subprocess.run([sys.executable, str(pasted)], capture_output=True, text=True, env=environment)
    assert outcome.returncode == 1
    assert "AssertionError" in outcome.stderr


def test_entry_points_are_listed_beside_the_adapters(check):
    lines = check("--targets").stdout.splitlines()
    assert "acme                 acme_conv:fast  entry point of acme-conv 1.5" in lines
    assert any(line.startswith("torch ") for line in lines)
    assert not any("acme-other" in line for line in lines)


def test_an_unknown_target_is_told_from_those_that_there_are(check):
    done = check("acne")
    assert done.returncode == 2
    assert "unknown target 'acne'; a target is " in done.stderr
    assert "(there are acme, acme-answer, acme-broken, " in done.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("acme-answer", "entry point acme-answer: acme_conv:answer is no function, but 42"),
        ("acme-module", "entry point acme-module is the module acme_conv; it must be a function, acme_conv:function"),
        ("acme-gone", "cannot import acme_conv:gone: AttributeError: module 'acme_conv' has no attribute 'gone'"),
        ("acme-broken", "cannot import acme_broken:fast: ModuleNotFoundError: No module named 'no_such_engine'"),
    ],
)
def test_what_is_no_implementation_is_refused(name, message, installed, monkeypatch):
    monkeypatch.syspath_prepend(installed)
    with pytest.raises(TargetError) as error:
        load_target(name)
    assert str(error.value).startswith(message)
