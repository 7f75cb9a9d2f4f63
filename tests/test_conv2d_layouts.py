"""Where an operand's numbers lie in memory, and what kind of object holds them, does not change a bit of the result."""

import numpy as np
import pytest
from oracle import FORMATS, same_bits
from problems import any_bits

import refconv

INPUT, WEIGHT, BIAS = (2, 4, 7, 6), (6, 2, 3, 2), (6,)
ARGUMENTS = {"stride": (2, 1), "padding": (1, 2), "groups": 2}

every_format = pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)


def operands(fmt):
    fill = any_bits(1, fmt, rare=0)
    return fill(INPUT), fill(WEIGHT), fill(BIAS)


def every_second(a):
    """Every second element, along every axis, of an array full of other numbers."""
    large = np.full([2 * size for size in a.shape], 77, a.dtype)
    view = large[tuple(slice(None, None, 2) for _ in a.shape)]
    view[...] = a
    return view


def backwards(a):
    flip = (slice(None, None, -1),) * a.ndim
    return a[flip].copy()[flip]


def axes_turned_round(a):
    """As if height and width were stored first, channels and batch last."""
    return a.T.copy().T


def channels_last(a):
    return np.moveaxis(np.moveaxis(a, 1, -1).copy(), -1, 1) if a.ndim == 4 else a


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def misaligned(a):
    """The same numbers from the second byte of a buffer on."""
    buffer = bytearray(b"\x55") + bytearray(a.tobytes())
    return np.frombuffer(buffer, dtype=np.uint8)[1:].view(a.dtype).reshape(a.shape)


def record_field(a):
    """A field of a packed record: strides that are no multiple of the item size."""
    records = np.zeros(a.shape, [("tag", "u1"), ("value", a.dtype)])
    records["value"] = a
    return records["value"]


def inner_slice(a):
    return np.pad(a, 1, constant_values=77)[tuple(slice(1, -1) for _ in a.shape)]


LAYOUTS = {
    "fortran": np.asfortranarray,
    "every_second": every_second,
    "backwards": backwards,
    "axes_turned_round": axes_turned_round,
    "channels_last": channels_last,
    "read_only": read_only,
    "misaligned": misaligned,
    "record_field": record_field,
    "inner_slice": inner_slice,
}


def plain(a):
    return np.array(a, order="C", copy=True)


@every_format
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("which", ["input", "weight", "bias", "all"])
def test_layouts_do_not_matter(fmt, layout, which):
    given = dict(zip(("input", "weight", "bias"), operands(fmt), strict=True))
    given |= {name: layout(a) for name, a in given.items() if which in (name, "all")}
    copies = {name: plain(a) for name, a in given.items()}
    y = refconv.conv2d(**given, **ARGUMENTS)
    assert same_bits(y, refconv.conv2d(**copies, **ARGUMENTS))
    assert all(same_bits(plain(given[name]), copies[name]) for name in given), "an operand was written to"
    assert_is_a_new_array(y, given.values())


def assert_is_a_new_array(y, operands):
    assert type(y) is np.ndarray
    assert y.flags.c_contiguous
    assert y.flags.writeable
    assert y.flags.aligned
    assert y.dtype.isnative
    assert not any(np.may_share_memory(y, a) for a in operands)


@pytest.mark.parametrize("layout", ["misaligned", "record_field"])
def test_the_misaligned_layouts_are_misaligned(layout):
    assert not LAYOUTS[layout](operands(FORMATS["float64"])[0]).flags.aligned


@every_format
def test_zero_strides_do_not_matter(fmt):
    """One row of numbers stands for all the rows, one filter for all the filters."""
    fill = any_bits(2, fmt, rare=0)
    given = {
        "input": np.broadcast_to(fill((1, 1, 1, 6)), INPUT),
        "weight": np.broadcast_to(fill((1, 2, 3, 2)), WEIGHT),
        "bias": np.broadcast_to(fill((1,)), BIAS),
    }
    y = refconv.conv2d(**given, **ARGUMENTS)
    assert same_bits(y, refconv.conv2d(**{name: plain(a) for name, a in given.items()}, **ARGUMENTS))


@every_format
def test_strides_of_axes_of_size_one_are_not_used(fmt):
    """NumPy calls such arrays contiguous, whatever these strides are."""
    x, w = (a[:1, :1].copy() for a in operands(fmt)[:2])
    odd = np.lib.stride_tricks.as_strided(x, x.shape, (10**9 + 1, -(10**9), *x.strides[2:]))
    assert same_bits(refconv.conv2d(odd, w), refconv.conv2d(x, w))


@every_format
def test_the_same_array_may_be_every_operand(fmt):
    a = any_bits(3, fmt, rare=0)((3, 3, 3, 3))
    before = a.copy()
    y = refconv.conv2d(a, a, a[:, 0, 0, 0])
    assert same_bits(y, refconv.conv2d(a.copy(), a.copy(), a[:, 0, 0, 0].copy()))
    assert same_bits(a, before)
    assert_is_a_new_array(y, [a])


@every_format
def test_the_result_is_new_even_where_it_equals_the_input(fmt):
    a = any_bits(4, fmt, rare=0)((1, 1, 2, 2))
    y = refconv.conv2d(a, np.ones((1, 1, 1, 1), fmt.dtype))
    assert same_bits(y, a)
    assert_is_a_new_array(y, [a])


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_foreign_byte_order_is_read_and_the_result_is_native(name):
    given = operands(FORMATS[name])
    swapped = [a.astype(a.dtype.newbyteorder()) for a in given]
    y = refconv.conv2d(*swapped, **ARGUMENTS)
    assert same_bits(y, refconv.conv2d(*given, **ARGUMENTS))
    assert_is_a_new_array(y, swapped)
    assert same_bits(refconv.conv2d(swapped[0], *given[1:], **ARGUMENTS), y)
    assert refconv.conv2d(*given, **ARGUMENTS, dtype=swapped[0].dtype).dtype.isnative


@pytest.mark.parametrize("subclass", [np.memmap, np.recarray, type("Tagged", (np.ndarray,), {})])
def test_subclasses_are_read_as_arrays(subclass, tmp_path):
    x, w, b = operands(FORMATS["float32"])
    if subclass is np.memmap:
        given = np.memmap(tmp_path / "x", x.dtype, "w+", shape=x.shape)
        given[...] = x
    else:
        given = x.view(subclass)
    y = refconv.conv2d(given, w, b, **ARGUMENTS)
    assert same_bits(y, refconv.conv2d(x, w, b, **ARGUMENTS))
    assert_is_a_new_array(y, [x])


def test_nested_lists_are_read_as_float64():
    y = refconv.conv2d([[[[1.0, 2.0], [3.0, 4.0]]]], [[[[0.5]]]], [10.0])
    assert y.dtype == np.float64
    assert y.tolist() == [[[[10.5, 11], [11.5, 12]]]]


class OnlyDLPack:
    """What a library without NumPy support would hand out."""

    def __init__(self, a):
        self.a = a

    def __dlpack__(self, **options):
        return self.a.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.a.__dlpack_device__()


class OnlyArray:
    """An object that becomes an array when asked."""

    def __init__(self, a):
        self.a = a

    def __array__(self, dtype=None, copy=None):
        return np.array(self.a, dtype=dtype, copy=copy)


@pytest.mark.parametrize("wrapper", [OnlyDLPack, OnlyArray, memoryview])
@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_objects_that_export_an_array_are_read(wrapper, name):
    given = operands(FORMATS[name])
    y = refconv.conv2d(*(wrapper(a) for a in given), **ARGUMENTS)
    assert same_bits(y, refconv.conv2d(*given, **ARGUMENTS))
    assert_is_a_new_array(y, given)


@pytest.mark.parametrize("wrong", [None, "text", b"bytes", {1: 2}, {1, 2}, object(), 3.0, [[1.0], [2.0, 3.0]]])
def test_what_is_no_array_is_refused_by_the_name_of_the_argument(wrong):
    w = np.ones((1, 1, 1, 1))
    with pytest.raises((TypeError, refconv.ConvError), match="input"):
        refconv.conv2d(wrong, w)
