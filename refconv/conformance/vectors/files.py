"""The two forms of a vector: JSON that can be read line by line, and npz. Same vector, same bytes.

The bytes depend on nothing but the vector: keys have a fixed order, members of an archive are not compressed and carry
no time, and the headers of the arrays are written here, as NumPy's own have changed from version to version.
"""

import io
import json
import math
import zipfile

import numpy as np

from refconv.conformance.vectors.vector import OPERANDS, Vector

__all__ = ["FORMATS", "VERSION", "header", "json_bytes", "json_lines", "npz_bytes", "read_json", "read_npz"]

#: Of the files' layout.
VERSION = "refconv vectors 1"


def header(vector: Vector) -> dict:
    """All that there is to say about a vector but its numbers."""
    problem = vector.problem
    arrays = {**vector.operands, "result": vector.result}
    about = {
        "name": vector.name,
        "op": vector.op,
        "about": vector.theme,
        "descriptor": vector.descriptor,
        "dtype": vector.dtype,
        "result_dtype": arrays["result"].dtype.name,
        "claim": vector.claim.spelling if vector.operation.is_float else "exact",
        "exact": vector.exact,
        "stride": list(problem.stride),
        "padding": [list(pads) for pads in problem.padding],
        "dilation": list(problem.dilation),
        "groups": problem.groups,
    }
    if vector.op.startswith("conv_transpose"):
        about["output_padding"] = list(vector.output_padding)
    if vector.op.endswith("_input"):
        about["input_size"] = list(problem.input_shape)
    if vector.op.endswith("_weight"):
        about["weight_size"] = list(problem.weight_shape)
    about["loops"] = vector.loops
    about["shapes"] = {name: list(array.shape) for name, array in arrays.items()}
    return about


def _arrays(vector: Vector) -> dict[str, np.ndarray]:
    operands = {name: vector.operands[name] for name in OPERANDS if name in vector.operands}
    return {**operands, "result": vector.result, "bound": vector.bound}


# ---- JSON ----


def json_lines(entries: dict) -> str:
    """A JSON object with one key to a line."""
    lines = (f"{json.dumps(key)}: {value}" for key, value in entries.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def json_bytes(vector: Vector) -> bytes:
    """The vector as a JSON object: one key to a line, numbers in hexadecimal, in row-major order."""
    entries = {key: json.dumps(value) for key, value in {"format": VERSION, **header(vector)}.items()}
    for name, array in _arrays(vector).items():
        entries[name] = f"[{', '.join(_numerals(array))}]"
    return json_lines(entries).encode()


def _numerals(array):
    if array.dtype.kind in "iu":
        return map(str, array.ravel().tolist())
    return (f'"{_hexadecimal(value)}"' for value in array.astype(np.float64).ravel().tolist())


def _hexadecimal(value: float) -> str:
    """As C's %a: 0x1.8p+1, without zeros at the end; also inf, -inf, nan."""
    if not math.isfinite(value):
        return str(value)
    digits, exponent = value.hex().split("p")
    return f"{digits.rstrip('0').rstrip('.')}p{exponent}"


def read_json(data: bytes, dtypes: dict[str, np.dtype]) -> dict[str, np.ndarray]:
    """The arrays of a vector from its JSON form.

    Parameters
    ----------
    data : bytes
    dtypes : dict of str to dtype
        Of every array.
    """
    content = json.loads(data)
    shapes = {**content["shapes"], "bound": content["shapes"]["result"]}

    def number(entry):
        return float.fromhex(entry) if isinstance(entry, str) else entry

    return {
        name: np.array([number(entry) for entry in content[name]]).astype(dtypes[name]).reshape(shape)
        for name, shape in shapes.items()
    }


# ---- npz ----

# NumPy has no name for these, so their bits are stored.
_AS_BITS = {"bfloat16": "uint16"}
# The first time that an archive can hold.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def npz_bytes(vector: Vector) -> bytes:
    """The vector as a zip archive of .npy files, which `numpy.load` reads."""
    members = dict(_arrays(vector))
    arguments = header(vector)
    for name in ("stride", "padding", "dilation", "groups", "output_padding", "input_size", "weight_size"):
        if name in arguments:
            members[name] = np.array(arguments[name], np.int64)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in members.items():
            member = zipfile.ZipInfo(f"{name}.npy", _NO_TIME)
            member.create_system = 3  # Unix, wherever it is written
            member.external_attr = 0o644 << 16
            archive.writestr(member, _npy(array))
    return buffer.getvalue()


def _npy(array: np.ndarray) -> bytes:
    """Version 1.0 of the format, as NumPy's documentation describes it under numpy.lib.format."""
    stored = np.ascontiguousarray(array).view(_AS_BITS.get(array.dtype.name, array.dtype)).reshape(array.shape)
    stored = stored.astype(stored.dtype.newbyteorder("<"))
    description = f"{{'descr': '{stored.dtype.str}', 'fortran_order': False, 'shape': {stored.shape}, }}"
    # Ten bytes before it and a line feed behind it; the data begin at a multiple of 64.
    description += " " * (-(len(description) + 11) % 64) + "\n"
    length = len(description).to_bytes(2, "little")
    return b"\x93NUMPY\x01\x00" + length + description.encode("latin-1") + stored.tobytes()


def read_npz(data: bytes, dtypes: dict[str, np.dtype]) -> dict[str, np.ndarray]:
    """The arrays of a vector from its npz form.

    Parameters
    ----------
    data : bytes
    dtypes : dict of str to dtype
        Of every array.
    """
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return {
            name: archive[name].view(dtype) if dtype.name in _AS_BITS else archive[name].astype(dtype, casting="equiv")
            for name, dtype in dtypes.items()
        }


#: By their names on the command line: how to write and how to read them.
FORMATS = {"json": (json_bytes, read_json), "npz": (npz_bytes, read_npz)}
