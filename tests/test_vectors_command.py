"""``refconv vectors`` and the function behind it: what they write, and what they refuse before anything is written."""

import pytest
from vector_corpora import files, index_of, small_corpus

from refconv.cli import main
from refconv.conformance.vectors import write_vectors
from refconv.testing import Claim


@pytest.fixture
def small(tmp_path):
    return small_corpus(tmp_path)


# ---- Wrong calls ----


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ops": ["conv4d"]}, "unknown op 'conv4d'; known are conv1d, "),
        ({"dtypes": ["float8"]}, "unknown dtype 'float8'; known are float16, "),
        ({"formats": ["yaml"]}, "unknown format 'yaml'; known are json, npz"),
        ({"claims": {"float64": Claim()}}, "an accumulator of float32 cannot hold float64 operands"),
        ({"claims": {"float32": Claim(algorithm="fft")}}, "not for fft"),
    ],
)
def test_what_there_is_not_is_refused_before_anything_is_written(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        write_vectors(tmp_path / "new", 1, **options)
    assert not (tmp_path / "new").exists()


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "precious").write_text("")
    with pytest.raises(ValueError, match="there is something in "):
        write_vectors(tmp_path, 1)


# ---- The command ----


def command(capsys, *words):
    """Exit status, stdout and stderr of ``refconv vectors``."""
    status = main(["vectors", *map(str, words)])
    return status, *capsys.readouterr()


def test_the_command_writes_what_the_function_does(tmp_path, capsys):
    words = ("--seed", 4, "--ops", "conv2d,conv1d", "--dtypes", "int8", "--count", 3, "--format", "npz")
    result = command(capsys, "--out", tmp_path / "one", *words)
    assert result == (0, f"6 vectors in {tmp_path / 'one'}, seed 4\n", "")
    write_vectors(tmp_path / "two", 4, ops=["conv1d", "conv2d"], dtypes=["int8"], count=3, formats=["npz"])
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_claims_are_for_a_dtype_or_for_those_without_one(tmp_path, capsys):
    words = ("--seed", 1, "--ops", "conv1d", "--count", 1, "--format", "json")
    claims = ("--claim", "accumulate=float64", "--claim", "float16:accumulate=float16,rounding=truncate")
    assert command(capsys, "--out", tmp_path / "claimed", *words, *claims)[0] == 0
    assert {v["dtype"]: v["claim"] for v in index_of(tmp_path / "claimed")["vectors"]} == {
        "float16": "accumulate=float16,rounding=truncate",
        **dict.fromkeys(("bfloat16", "float32", "float64"), "accumulate=float64"),
        **dict.fromkeys(("int8", "uint8", "int16"), "exact"),
    }


def test_the_command_verifies(small, capsys):
    assert command(capsys, "--verify", small) == (0, "", f"{small}: nothing wrong\n")
    (small / "conv2d/float32/plain-0.json").unlink()
    problem = "conv2d/float32/plain-0.json: cannot be read: No such file or directory\n"
    assert command(capsys, "--verify", small) == (1, problem, f"{small}: 1 wrong\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "new"], "--out needs a --seed"),
        (["--out", "new", "--seed", "1", "--ops", "conv4d"], "refconv: unknown op 'conv4d'"),
        (["--out", "new", "--seed", "1", "--count", "0"], "must be at least 1, not 0"),
        (["--out", "new", "--seed", "1", "--claim", "float33:tile=2"], "'float33' is no floating-point dtype"),
        (["--out", "new", "--seed", "1", "--claim", "tile=2", "--claim", "tile=2"], "there is another claim for all"),
        (["--out", "new", "--seed", "1", "--claim", "tiles"], "cannot read the claim 'tiles'"),
        (["--out", "new", "--seed", "1", "--claim", "accumulate=float80"], "no bound is known for dtype float80"),
        (["--verify", "new"], "new is no corpus of golden vectors"),
        (["--verify", "new", "--out", "new"], "not allowed with"),
        ([], "one of the arguments --out --verify is required"),
    ],
)
def test_wrong_commands_are_refused(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    try:
        status, _, errors = command(capsys, *words)
    except SystemExit as end:  # argparse's
        status, errors = end.code, capsys.readouterr().err
    assert status == 2
    assert message in errors
    assert list(tmp_path.iterdir()) == []
