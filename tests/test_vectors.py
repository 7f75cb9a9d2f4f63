"""Golden vectors: same bytes for a seed, right numbers, a check that notices damage, readers in C and JavaScript."""

import hashlib
import itertools
import json
import os
import shutil
import subprocess
import zipfile
from fractions import Fraction
from pathlib import Path

import ml_dtypes
import numpy as np
import oracle
import pytest

from refconv.cli import main
from refconv.conformance.vectors import DTYPES, THEMES, verify_vectors, write_vectors
from refconv.testing import Claim, conv_bound, judge
from refconv.testing.operation import OPS

EXAMPLES = Path(__file__).parent.parent / "examples"
TYPES = ("bfloat16", "float32", "float64", "int8")
FLOATS = ("float16", "bfloat16", "float32", "float64")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Every theme and function."""
    directory = tmp_path_factory.mktemp("vectors") / "corpus"
    assert write_vectors(directory, 1, dtypes=TYPES) > 1000
    return directory


@pytest.fixture
def small(tmp_path):
    """A corpus to be damaged."""
    write_vectors(tmp_path / "small", 3, ops=["conv2d", "conv1d_weight"], dtypes=["float32", "int8"], count=12)
    return tmp_path / "small"


def index_of(directory):
    return json.loads((directory / "index.json").read_text())


def content(directory, name):
    return json.loads((directory / f"{name}.json").read_text())


def files(directory):
    return {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


# ---- The same bytes ----


def test_a_seed_decides_every_byte(tmp_path):
    for name, seed in (("first", 5), ("again", 5), ("other", 6)):
        write_vectors(tmp_path / name, seed, ops=["conv2d", "conv_transpose1d"], dtypes=["bfloat16", "uint8"])
    first, again, other = (files(tmp_path / name) for name in ("first", "again", "other"))
    assert first == again
    same = {path for path in first if first[path] == other[path]}
    assert same == {Path("README.txt")}


def test_a_vector_does_not_depend_on_the_others(corpus, tmp_path):
    write_vectors(tmp_path / "part", 1, ops=["conv2d"], dtypes=["float64"], count=5, formats=["npz"])
    part = files(tmp_path / "part")
    assert len(part) == 7
    assert all(part[path] == (corpus / path).read_bytes() for path in part if path.suffix == ".npz")


def test_more_vectors_than_themes_are_further_draws(tmp_path):
    applicable = len({path.stem for path in _paths(tmp_path / "all", None)})
    names = [path.stem for path in _paths(tmp_path / "more", 2 * applicable)]
    assert len(names) == len(set(names)) == 2 * applicable
    assert "plain-0" in names
    assert "plain-1" in names


def _paths(directory, count):
    write_vectors(directory, 1, ops=["conv1d"], dtypes=["int8"], count=count, formats=["json"])
    return sorted((directory / "conv1d").rglob("*.json"))


def test_the_bytes_are_those_of_the_first_release(corpus):
    """Not that these are right, but that other versions of Python and NumPy and other machines do not change them."""
    data = b"".join(
        (corpus / f"conv2d/{dtype}/plain-0.{form}").read_bytes() for dtype in TYPES for form in ("json", "npz")
    )
    assert hashlib.sha256(data).hexdigest() == "caaff8ed67f140f3307212447018e942a9dd12dba1ccf6bc4f78c0b1c7abbfe1"


def test_archives_carry_no_time_and_are_not_compressed(corpus):
    with zipfile.ZipFile(corpus / "conv2d/float32/all-0.npz") as archive:
        assert {(m.date_time, m.compress_type, m.create_system) for m in archive.infolist()} == {
            ((1980, 1, 1, 0, 0, 0), zipfile.ZIP_STORED, 3)
        }


# ---- The right numbers ----


def test_there_is_a_vector_for_every_function_dtype_and_theme(corpus):
    vectors = index_of(corpus)["vectors"]
    assert {(v["op"], v["dtype"]) for v in vectors} == set(itertools.product(OPS, TYPES))
    assert {v["about"] for v in vectors} == {theme.key for theme in THEMES} == set(index_of(corpus)["themes"])
    assert len({v["name"] for v in vectors}) == len(vectors)


def test_there_are_vectors_of_every_dtype(tmp_path):
    assert write_vectors(tmp_path / "dtypes", 1, ops=["conv2d"], count=20) == 20 * len(DTYPES)
    assert {v["dtype"] for v in index_of(tmp_path / "dtypes")["vectors"]} == set(DTYPES)
    assert verify_vectors(tmp_path / "dtypes") == []


def test_both_forms_hold_the_same_numbers(corpus):
    for entry in index_of(corpus)["vectors"][::7]:
        numerals = content(corpus, entry["name"])
        with np.load(corpus / f"{entry['name']}.npz") as archive:
            for name, shape in {**entry["shapes"], "bound": entry["shapes"]["result"]}.items():
                array = archive[name]
                assert list(array.shape) == shape
                if entry["dtype"] == "bfloat16" and name != "bound":
                    array = array.view(ml_dtypes.bfloat16)
                values = [float.fromhex(n) if isinstance(n, str) else n for n in numerals[name]]
                np.testing.assert_array_equal(
                    array.astype(np.float64).ravel(), values, err_msg=f"{entry['name']} {name}"
                )


def exact_sums(vector):
    """The sums of a vector as fractions, by the loop nest that its README describes; None where one is not finite."""
    loops, op = vector["loops"], vector["op"]
    operand = {n: [_fraction(v) for v in vector[n]] for n in ("input", "weight", "bias", "grad_output") if n in vector}
    N, C, *image = loops["image"]
    K, Cg, *kernel = loops["kernel"]
    _, _, *output = loops["output"]
    groups = loops["groups"][0]
    sums = [Fraction(0)] * len(vector["result"])

    def add(at, a, b=1):
        sums[at] = None if None in (sums[at], a, b) else sums[at] + a * b

    if op.endswith("_bias"):
        for at, value in enumerate(operand["grad_output"]):
            add(at // int(np.prod(output)) % K, value)
        return sums
    per_axis = zip(output, kernel, image, loops["stride"], loops["padding"], loops["dilation"], strict=True)
    places = [
        [(o, t, o * s - p + t * d) for o in range(O) for t in range(T) if 0 <= o * s - p + t * d < I]
        for O, T, I, s, p, d in per_axis  # noqa: E741
    ]
    for n, k, c in itertools.product(range(N), range(K), range(Cg)):
        channel = k // (K // groups) * Cg + c
        for along in itertools.product(*places):
            o, t, i = zip(*along, strict=True)
            at = {
                "image": np.ravel_multi_index((n, channel, *i), (N, C, *image)),
                "kernel": np.ravel_multi_index((k, c, *t), (K, Cg, *kernel)),
                "output": np.ravel_multi_index((n, k, *o), (N, K, *output)),
            }
            if "_" not in op:
                add(at["output"], operand["input"][at["image"]], operand["weight"][at["kernel"]])
            elif op.endswith("_weight"):
                add(at["kernel"], operand["input"][at["image"]], operand["grad_output"][at["output"]])
            else:
                add(
                    at["image"],
                    operand.get("grad_output", operand.get("input"))[at["output"]],
                    operand["weight"][at["kernel"]],
                )
    if "bias" in operand:
        channels, plane = (C, image) if "_" in op else (K, output)
        for at in range(len(sums)):
            add(at, operand["bias"][at // int(np.prod(plane)) % channels])
    return sums


def _fraction(numeral):
    value = float.fromhex(numeral) if isinstance(numeral, str) else numeral
    return Fraction(value) if np.isfinite(value) else None


@pytest.mark.parametrize(
    "theme", ["all", "rounded", "ties", "underflow", "overflow", "cancelling", "subnormals", "unbatched"]
)
def test_results_are_the_exact_sums_rounded_once(corpus, theme):
    ties = 0
    for entry in index_of(corpus)["vectors"]:
        if entry["about"] != theme or "3d" in entry["op"]:
            continue
        vector = content(corpus, entry["name"])
        sums = exact_sums(vector)
        results = [float.fromhex(n) if isinstance(n, str) else n for n in vector["result"]]
        if entry["dtype"] not in FLOATS:
            assert results == sums, entry["name"]
            continue
        fmt = oracle.FORMATS[entry["dtype"]]
        right = oracle.from_bits([fmt.round(oracle.units(y)) for y in sums], fmt)
        assert results == right.astype(np.float64).tolist(), entry["name"]
        ties += sum(fmt.is_tie(oracle.units(y)) for y in sums)
        bounds = [float.fromhex(n) for n in vector["bound"]]
        if vector["exact"]:
            assert results == sums, entry["name"]
            assert not any(bounds)
        else:
            far = (b < abs(Fraction(r) - y) for r, y, b in zip(results, sums, bounds, strict=True) if np.isfinite(r))
            assert not any(far), entry["name"]
    assert theme != "ties" or ties > 50


def test_subnormal_and_underflowing_vectors_have_results_below_the_least_normal_number(corpus):
    for dtype, least in (("float32", 2.0**-126), ("float64", 2.0**-1022)):
        for theme in ("subnormals", "underflow"):
            results = [abs(float.fromhex(n)) for n in content(corpus, f"conv2d/{dtype}/{theme}-0")["result"]]
            assert any(0 < r < least for r in results)


def test_special_vectors_have_results_that_are_no_numbers(corpus):
    results = {n for op in ("conv1d", "conv2d") for n in content(corpus, f"{op}/float32/non_finite-0")["result"]}
    assert {"nan", "inf", "-inf"} < results
    overflowing = content(corpus, "conv3d/float32/overflow-0")
    assert "inf" in overflowing["bound"]


@pytest.mark.parametrize(
    "claim", [Claim(), Claim(accumulate="float64"), Claim(inputs="tf32"), Claim(rounding="truncate")]
)
def test_the_bound_is_that_of_the_claim_and_the_rounding_of_the_result(tmp_path, claim):
    options = {"ops": ["conv2d"], "dtypes": ["float32"], "formats": ["json"]}
    write_vectors(tmp_path / "claimed", 2, claims={"float32": claim}, **options)
    assert verify_vectors(tmp_path / "claimed") == []
    for entry in index_of(tmp_path / "claimed")["vectors"]:
        assert Claim.parse(entry["claim"]) == claim
        vector = content(tmp_path / "claimed", entry["name"])
        x, w, b, result, bound = (
            None if n not in vector else np.array([float.fromhex(v) for v in vector[n]])
            for n in ("input", "weight", "bias", "result", "bound")
        )
        x, w = (a.astype("f4").reshape(vector["shapes"][n]) for n, a in (("input", x), ("weight", w)))
        call = {"stride": tuple(vector["stride"]), "padding": tuple(map(tuple, vector["padding"]))}
        call |= {"dilation": tuple(vector["dilation"]), "groups": vector["groups"]}
        call |= {"bias": None if b is None else b.astype("f4"), "claim": claim}
        half_ulp = np.spacing(np.abs(np.nan_to_num(result, posinf=0, neginf=0)).astype("f4")).astype(float) / 2
        plain = conv_bound(x, w, **call).ravel()
        if entry["exact"]:
            assert not bound.any()
            continue
        allowed = np.where(plain == 0, 0.0, plain + half_ulp)
        assert (bound >= allowed).all()
        assert (bound <= np.nextafter(allowed, np.inf)).all()
        # Whoever is farther off than that is judged to be wrong.
        with np.errstate(invalid="ignore", over="ignore"):
            beyond = np.nextafter((result + 1.01 * bound).astype("f4"), np.float32(np.inf)).reshape(
                vector["shapes"]["result"]
            )
        finite = np.isfinite(bound) & np.isfinite(result) & np.isfinite(beyond.ravel())
        assert judge(beyond, x, w, **call).wrong.ravel()[finite].all()


# ---- What is noticed ----


def test_a_whole_corpus_is_right(corpus):
    assert verify_vectors(corpus) == []


def change(directory, path, old, new, *, listed):
    """Replace text in a file; `listed`: put the file's new checksum into the index."""
    data = (directory / path).read_bytes()
    assert data.count(old) == 1, (old, data)
    changed = data.replace(old, new)
    (directory / path).write_bytes(changed)
    if listed:
        index = (directory / "index.json").read_text()
        old_sum, new_sum = (hashlib.sha256(d).hexdigest() for d in (data, changed))
        assert old_sum in index
        (directory / "index.json").write_text(index.replace(old_sum, new_sum))


def line_of(directory, path, key):
    return next(line for line in (directory / path).read_bytes().splitlines() if line.startswith(b'"%s"' % key))


def test_a_changed_byte_is_noticed(small):
    change(small, "README.txt", b"Golden", b"Leaden", listed=False)
    path = "conv2d/float32/plain-0.npz"
    data = bytearray((small / path).read_bytes())
    data[-1] ^= 1  # the archive's comment length: nothing that is read
    (small / path).write_bytes(data)
    assert f"{path}: its checksum is not the one in the index" in verify_vectors(small)


@pytest.mark.parametrize(
    "path", ["conv2d/float32/plain-0.json", "conv2d/int8/plain-0.json", "conv1d_weight/float32/batch-0.json"]
)
def test_a_wrong_result_is_noticed_even_with_its_checksum(small, path):
    line = line_of(small, path, b"result")
    first = line.split(b"[")[1].split(b",")[0].split(b"]")[0]
    change(small, path, line, line.replace(first, b"17" if b"int8" in path.encode() else b'"0x1.8p+9"', 1), listed=True)
    (problem,) = verify_vectors(small)
    assert problem.startswith(f"{path}: result: 1 of ")
    assert "the first at 0: " in problem


def test_a_wrong_bound_is_noticed(small):
    path = "conv2d/float32/plain-0.json"
    line = line_of(small, path, b"bound")
    change(small, path, line, line.replace(b"0x0p+0", b"0x1p-20", 1), listed=True)
    (problem,) = verify_vectors(small)
    assert problem.startswith(f"{path}: bound: 1 of ")


def test_a_wrong_entry_of_the_index_is_noticed(small):
    index = (small / "index.json").read_text()
    entry = next(line for line in index.splitlines() if '"conv2d/float32/stride-0"' in line)
    (small / "index.json").write_text(index.replace(entry, entry.replace('"exact": true', '"exact": false')))
    problems = verify_vectors(small)
    assert len(problems) == 2
    assert all("exact is False in the index, but should be True" in problem for problem in problems)


def test_missing_and_additional_files_are_noticed(small):
    (small / "conv2d/float32/plain-0.json").rename(small / "conv2d/float32/other.json")
    assert verify_vectors(small) == [
        "conv2d/float32/other.json: is not in the index",
        "conv2d/float32/plain-0.json: cannot be read: No such file or directory",
    ]


def test_a_file_that_is_cut_off_is_noticed(small):
    for form in ("json", "npz"):
        path = small / f"conv2d/float32/plain-0.{form}"
        path.write_bytes(path.read_bytes()[:400])
    problems = verify_vectors(small)
    assert len(problems) == 4
    assert sum("cannot be read: " in problem for problem in problems) == 2


def test_another_directory_is_no_corpus(tmp_path):
    with pytest.raises(ValueError, match="is no corpus of golden vectors"):
        verify_vectors(tmp_path)
    (tmp_path / "index.json").write_text('{"format": "something else", "vectors": []}')
    with pytest.raises(ValueError, match="its format is 'something else'"):
        verify_vectors(tmp_path)


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


# ---- The readers ----


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Compile a text as C."""

    def compile_text(text):
        directory = tmp_path_factory.mktemp("reader")
        source, program = directory / "reader.c", directory / "reader"
        source.write_text(text)
        compiler = shutil.which("cc") or "gcc"
        subprocess.run(
            [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source, "-lm"], check=True, timeout=120
        )
        return program

    return compile_text


@pytest.fixture(params=["c", "js"])
def run_reader(request, compiled, tmp_path):
    """Run a reader on a corpus, with a bug planted in it or without."""
    if request.param == "js" and shutil.which("node") is None:
        # CI requires it; nobody else has to install another language for the sake of an example.
        (pytest.fail if os.environ.get("REFCONV_NODE") == "required" else pytest.skip)("there is no node here")

    def run(directory, planted=None):
        text = (EXAMPLES / f"vectors_reader.{request.param}").read_text()
        if planted:
            old, new = planted[request.param]
            assert text.count(old) == 1
            text = text.replace(old, new)
        if request.param == "c":
            command = [compiled(text), *sorted(directory.glob("*/*/*.json"))]
        else:
            (tmp_path / "reader.js").write_text(text)
            command = ["node", tmp_path / "reader.js", directory]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    return run


def test_a_plain_convolution_in_another_language_passes(run_reader, corpus):
    result = run_reader(corpus)
    count = len(index_of(corpus)["vectors"])
    assert (result.returncode, result.stdout) == (0, f"{count} vectors, 0 wrong\n"), result.stderr


BUGS = {
    "dilation": {"c": ("ty * dilation[1]", "ty"), "js": ("t * d[a]", "t * d[2]")},
    "asymmetric": {"c": ("- padding[1]", "- padding[2]"), "js": ("- p[a]", "- p[2]")},
    "groups": {"c": ("k / Kg * Cg", "k / Kg * 0"), "js": ("Math.floor(k / Kg) * Cg", "Math.floor(k / Kg) * 0")},
    "rounded": {
        "c": ("(float)(*sum + (float)term)", "rint(4096 * (*sum + term)) / 4096"),
        "js": (": Math.fround", ": (y) => Math.round(y * 4096) / 4096"),
    },
    "plain": {"c": ("= strtod(at, NULL)", "= fabs(strtod(at, NULL))"), "js": ("(sign ? -1 : 1)", "(sign ? 1 : 1)")},
}


@pytest.mark.parametrize("theme", BUGS)
def test_a_bug_in_the_convolution_is_noticed(run_reader, corpus, theme):
    result = run_reader(corpus, BUGS[theme])
    assert result.returncode == 1, result.stderr
    assert f"conv2d/float32/{theme}-0" in result.stdout


def test_a_wrong_number_in_the_corpus_is_noticed(run_reader, small):
    path = "conv2d/float32/kernel-0.json"
    line = line_of(small, path, b"result")
    first = line.split(b'"')[3]
    last_place = np.nextafter(np.float32(float.fromhex(first.decode())), np.float32(np.inf))
    change(small, path, line, line.replace(first, float(last_place).hex().encode(), 1), listed=False)
    result = run_reader(small)
    assert result.returncode == 1
    assert len(result.stdout.splitlines()) == 2
    assert "conv2d/float32/kernel-0" in result.stdout
