"""Golden vectors: same bytes for a seed, right numbers."""

import hashlib
import itertools
import zipfile
from fractions import Fraction
from pathlib import Path

import ml_dtypes
import numpy as np
import oracle
import pytest
from vector_corpora import TYPES, content, files, index_of, whole_corpus

from refconv.conformance.vectors import DTYPES, THEMES, verify_vectors, write_vectors
from refconv.testing import Claim, conv_bound, judge
from refconv.testing.operation import OPS

FLOATS = ("float16", "bfloat16", "float32", "float64")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return whole_corpus(tmp_path_factory)


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
