"""Known failures: each has a reason, and each is one."""

import pytest

from refconv.conformance.xfail import XfailError, read_xfails

KEYS = ["padding/conv1d/float32", "padding/conv2d/float32", "named-padding/conv2d/float16"]


def read(tmp_path, text, name="known.txt"):
    (tmp_path / name).write_text(text)
    return read_xfails(tmp_path / name)


LINES = """
# until 2.0
padding/*/float32     zeros on one side only   # really

named-padding/conv2d/float16 = no
"""

TOML = """
# until 2.0
"padding/*/float32" = "zeros on one side only   # really"
"named-padding/conv2d/float16" = "= no"
"""


@pytest.mark.parametrize(("name", "text"), [("known.txt", LINES), ("known.toml", TOML)])
def test_lines_and_toml_say_the_same(name, text, tmp_path):
    expectations = read(tmp_path, text, name)
    expectations.check(KEYS)
    assert [expectations.reason(key) for key in KEYS] == ["zeros on one side only   # really"] * 2 + ["= no"]
    assert expectations.reason("padding/conv2d/float64") is None


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("known.txt", "\npadding/*/float32\n", r"known\.txt:2: 'padding/\*/float32' has no reason"),
        ("known.toml", '"padding/*" = ""', r"known\.toml: 'padding/\*' has no reason"),
        ("known.toml", '"padding/*" = 3', r"known\.toml: 'padding/\*' has no reason"),
        ("known.toml", "padding/* = 3", r"known\.toml cannot be read: "),
        ("known.txt", "a why\na why\n", r"known\.txt:2: 'a' is there twice"),
    ],
)
def test_what_cannot_be_read_says_so(name, text, message, tmp_path):
    with pytest.raises(XfailError, match=message):
        read(tmp_path, text, name)


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(XfailError, match="there is no file"):
        read_xfails(tmp_path / "none.txt")


def test_a_pattern_that_matches_nothing_is_a_mistake(tmp_path):
    with pytest.raises(XfailError, match=r"no row of this target matches 'paddin/\*'"):
        read(tmp_path, "paddin/* a typo").check(KEYS)
