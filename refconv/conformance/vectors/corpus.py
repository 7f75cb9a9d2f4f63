"""A directory of golden vectors with its index: written, and checked again."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

import refconv
from refconv.conformance.vectors.files import FORMATS, VERSION, header, json_lines
from refconv.conformance.vectors.themes import THEMES, themes_for
from refconv.conformance.vectors.vector import DTYPES, OPERANDS, Vector, make_vector
from refconv.dtypes import extension_dtype
from refconv.problem import ConvProblem
from refconv.testing.claim import Claim
from refconv.testing.formats import FORMATS as FLOATS
from refconv.testing.formats import format_of
from refconv.testing.operation import OPS

__all__ = ["verify_vectors", "write_vectors"]

INDEX = "index.json"


def write_vectors(
    directory,
    seed: int,
    *,
    ops: Iterable[str] = OPS,
    dtypes: Iterable[str] = DTYPES,
    count: int | None = None,
    claims: dict[str, Claim] | None = None,
    formats: Iterable[str] = tuple(FORMATS),
) -> int:
    """Write a corpus of golden vectors.

    Parameters
    ----------
    directory : path
        Is made if it is not there; must be empty.
    seed : int
        Same seed, same bytes: on every machine and with every version of Python and NumPy, for one version of refconv.
        A vector does not depend on which others are written.
    ops : iterable of str, optional
        Names of functions; all by default.
    dtypes : iterable of str, optional
        Of the operands; all of `DTYPES` by default.
    count : int, optional
        Vectors for every function and dtype. By default one for every theme that applies.
    claims : dict of str to Claim, optional
        By dtype: what the bounds are for. By default `Claim.of` the dtype.
    formats : iterable of str, optional
        'json', 'npz' or, by default, both.

    Returns
    -------
    int
        How many vectors were written.

    Raises
    ------
    ValueError
        ``unknown op 'conv4d'; known are conv1d, ...``, and so for dtypes and formats; for a claim that does not fit;
        if there is something in the directory.
    ImportError
        ``bfloat16 needs the package ml_dtypes ...``

    Notes
    -----
    For claims with rounding to nearest every byte is decided by the seed. The bounds for other claims are made with the
    C library's expm1 and log1p, and may differ from another machine's in the last bits.

    Examples
    --------
    >>> import tempfile
    >>> directory = tempfile.mkdtemp()
    >>> write_vectors(directory, 1, ops=["conv2d"], dtypes=["float32"], count=3, formats=["json"])
    3
    >>> verify_vectors(directory)
    []
    """
    ops = _known("op", ops, OPS)
    dtypes = _known("dtype", dtypes, DTYPES)
    formats = _known("format", formats, FORMATS)
    claims = {dtype: (claims or {}).get(dtype) or _default_claim(dtype) for dtype in dtypes}
    for dtype, claim in claims.items():
        _check_claim(dtype, claim)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise ValueError(f"there is something in {directory}; a corpus needs a directory of its own")
    entries = []
    for op in ops:
        for dtype in dtypes:
            for vector in islice(_vectors(op, dtype, seed, claims[dtype], forever=count is not None), count):
                entries.append({**header(vector), "files": _write(directory, vector, formats)})
    (directory / "README.txt").write_text(_README, encoding="utf-8", newline="\n")
    (directory / INDEX).write_bytes(_index(seed, entries))
    return len(entries)


def _known(what: str, names: Iterable[str], known: Iterable[str]) -> list[str]:
    """The names in their own order and each once; an error for others."""
    names, known = list(names), list(known)
    for name in names:
        if name not in known:
            raise ValueError(f"unknown {what} {name!r}; known are {', '.join(known)}")
    return [name for name in known if name in names]


def _default_claim(dtype: str) -> Claim:
    return Claim.of(dtype) if dtype in FLOATS else Claim()


def _check_claim(dtype: str, claim: Claim):
    if claim.algorithm != "direct":
        raise ValueError(f"claim: bounds of vectors are for direct sums, not for {claim.algorithm}")
    if dtype in FLOATS and not claim.accumulator.contains(claim.input_format or format_of(dtype)):
        held = claim.inputs or dtype
        raise ValueError(f"claim: an accumulator of {claim.accumulate} cannot hold {held} operands")


def _vectors(op: str, dtype: str, seed: int, claim: Claim, *, forever: bool) -> Iterator[Vector]:
    """One vector for every theme, again and again if wanted."""
    themes = themes_for(op, "f" if dtype in FLOATS else "i")
    number = 0
    while forever or number == 0:
        for theme in themes:
            yield make_vector(op, dtype, theme, number, seed, claim)
        number += 1


def _write(directory: Path, vector: Vector, formats: list[str]) -> dict:
    files = {}
    for form in formats:
        data = FORMATS[form][0](vector)
        path = directory / f"{vector.name}.{form}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        files[form] = {"path": f"{vector.name}.{form}", "bytes": len(data), "sha256": _checksum(data)}
    return files


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _index(seed: int, entries: list[dict]) -> bytes:
    """One vector to a line, so that a change of the corpus can be read as a change of lines."""
    cases = ",\n".join(json.dumps(entry) for entry in entries)
    content = {
        "format": json.dumps(VERSION),
        "refconv": json.dumps(refconv.__version__),
        "seed": seed,
        "themes": json.dumps({theme.key: theme.text for theme in THEMES}),
        "vectors": f"[\n{cases}\n]",
    }
    return json_lines(content).encode()


# ---- Checked again ----


def verify_vectors(directory) -> list[str]:
    """Check a corpus again: every checksum, every result and every bound, in every form.

    Parameters
    ----------
    directory : path
        One that `write_vectors` has written, here or elsewhere.

    Returns
    -------
    list of str
        What is wrong, one line each; empty if nothing is.

    Raises
    ------
    ValueError
        ``... is no corpus of golden vectors: ...``
    """
    directory = Path(directory)
    try:
        index = json.loads((directory / INDEX).read_text(encoding="utf-8"))
        if index["format"] != VERSION:
            raise ValueError(f"its format is {index['format']!r}, not {VERSION!r}")
        entries = index["vectors"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{directory} is no corpus of golden vectors: {error}") from error
    listed = {file["path"] for entry in entries for file in entry["files"].values()}
    found = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
    problems = [f"{path}: is not in the index" for path in sorted(found - listed - {INDEX, "README.txt"})]
    for entry in entries:
        for form, file in entry["files"].items():
            problems += [f"{file['path']}: {fault}" for fault in _faults(directory, entry, form, file)]
    return problems


def _faults(directory: Path, entry: dict, form: str, file: dict) -> Iterator[str]:
    """What is wrong with one file."""
    try:
        data = (directory / file["path"]).read_bytes()
    except OSError as error:
        yield f"cannot be read: {error.strerror}"
        return
    if _checksum(data) != file["sha256"]:
        yield "its checksum is not the one in the index"
    try:
        arrays = FORMATS[form][1](data, _dtypes(entry))
    except Exception as error:  # a damaged file can fail in any way
        yield f"cannot be read: {type(error).__name__}: {error}"
        return
    vector = _computed_again(entry, {name: arrays[name] for name in OPERANDS if name in arrays})
    again = header(vector)
    yield from (
        f"{key} is {entry.get(key)!r} in the index, but should be {again[key]!r}"
        for key in again
        if entry.get(key) != json.loads(json.dumps(again[key]))
    )
    for name, right in (("result", vector.result), ("bound", vector.bound)):
        wrong = np.flatnonzero(~_same(arrays[name], right, entry, name))
        if wrong.size:
            first = wrong[0]
            yield (
                f"{name}: {wrong.size} of {right.size} numbers are wrong, the first at {first}: "
                f"{arrays[name].flat[first]} instead of {right.flat[first]}"
            )


def _same(stored, right, entry, name):
    """Whether numbers are the same, zeros with their signs; bounds up to what C libraries make of them."""
    same = (
        (stored == right) & (np.signbit(stored) == np.signbit(right)) if stored.dtype.kind == "f" else stored == right
    )
    if stored.dtype.kind not in "iu":
        stored, right = stored.astype(np.float64), right.astype(np.float64)
        same = (stored == right) & (np.signbit(stored) == np.signbit(right)) | np.isnan(stored) & np.isnan(right)
    if name == "bound" and "rounding=" in entry["claim"]:
        with np.errstate(invalid="ignore"):
            same |= np.abs(stored - right) <= 8 * np.spacing(np.abs(right))
    return same


def _dtypes(entry: dict) -> dict[str, np.dtype]:
    """Of every array that is stored."""

    def dtype(name):
        return extension_dtype(name) if name == "bfloat16" else np.dtype(name)

    operands = {name: dtype(entry["dtype"]) for name in OPERANDS if name in entry["shapes"]}
    return {**operands, "result": dtype(entry["result_dtype"]), "bound": np.dtype(np.float64)}


def _computed_again(entry: dict, operands: dict) -> Vector:
    """The vector that an entry of the index speaks of, with the operands of one of its files."""
    axes = len(entry["stride"])
    image, kernel = entry["loops"]["image"], entry["loops"]["kernel"]
    some_shape = next(iter(entry["shapes"].values()))
    batched = entry["op"].endswith(("_input", "_weight", "_bias")) or len(some_shape) == axes + 2
    problem = ConvProblem.from_shapes(
        (*image[0 if batched else 1 : 2], *image[-axes:]),
        (*kernel[:2], *kernel[-axes:]),
        (kernel[0],) if "bias" in operands else None,
        tuple(entry["stride"]),
        tuple(map(tuple, entry["padding"])),
        tuple(entry["dilation"]),
        entry["groups"],
        spatial_ndim=axes,
    )
    *_, file_name = entry["name"].split("/")
    theme, _, number = file_name.rpartition("-")
    claim = Claim() if entry["claim"] == "exact" else Claim.parse(entry["claim"])
    output_padding = tuple(entry.get("output_padding", ()))
    return Vector(entry["op"], entry["dtype"], theme, int(number), problem, output_padding, operands, claim)


_README = """\
Golden vectors: calls of convolutions with their right results, written by refconv.

index.json says what there is, one vector to a line: the call, what it is about, and the SHA-256 of its files. Every
vector is there as .json, which can be read line by line, or as .npz, or both:

    input, weight, bias, grad_output   the operands, as far as the call takes them
    result                             the correctly rounded result: the exact sum, rounded once
    bound                              |yours - result| <= bound, element by element, for the claim in the index

Arrays are in row-major order. Floating-point numbers in JSON are C's hexadecimal numerals in quotes ("0x1.8p+1",
"-inf", "nan"), integers are plain. bfloat16 numbers are stored in .npz as their bits, uint16.

"loops" has the sizes of one loop nest over three axes that serves every function. It goes through all
n, group, c < C_in / groups, k < C_out / groups, output places o and taps t, and along each axis the tap lies at

    i = o * stride - padding + t * dilation           (nothing is done where that is outside of the image)

It adds the product of two of these to the third, of which the sizes are in "loops" as well:

    image[n, group * C_in / groups + c, i]
    kernel[group * C_out / groups + k, c, t]
    output[n, group * C_out / groups + k, o]

    function                              image     kernel    output
    conv1d, conv2d, conv3d                input     weight    (result) + bias of the output channel
    conv_transpose1d, ...                 (result)  weight    input, + bias of the image channel
    conv1d_input, ...                     (result)  weight    grad_output
    conv1d_weight, ...                    input     (result)  grad_output
    conv1d_bias, ...                      the result is grad_output, summed over all but the channels

A result passes if it is inside of the bound, NaN where the result is NaN, and the same infinity where it is infinite.
Where the bound is infinite anything passes: a sum may overflow on the way. Zeros of either sign are equal.
"""
