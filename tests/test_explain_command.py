"""`refconv explain`: words mean what a call means, its sentences are true, and its errors are those of a call."""

import os
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refconv import ConvError, ConvProblem
from refconv.cli import main
from refconv.cli.status import OUTPUT_CLOSED
from refconv.explanation import explanation, problem_from_words


@pytest.mark.parametrize(
    ("words", "descriptor"),
    [
        ("28x28 kernel 5 stride 2 padding 1", "g1n1ic1ih28iw28oc1kh5kw5sh2sw2ph1pw1dh1dw1"),
        ("input 28 x 28, kernel=(5, 3)", "g1n1ic1ih28iw28oc1kh5kw3sh1sw1ph0pw0dh1dw1"),
        (
            "a 28\N{MULTIPLICATION SIGN}28 image with a filter of 3x3 and padding same",
            "g1n1ic1ih28iw28oc1kh3kw3sh1sw1ph1pw1dh1dw1",
        ),
        ("8x3x28x28 kernel 16x3x5x5 bias", "g1n8ic3ih28iw28oc16kh5kw5sh1sw1ph0pw0dh1dw1b1"),
        ("28x28 kernel 3 channels 8 -> 16 groups 4 batch 2", "g4n2ic8ih28iw28oc16kh3kw3sh1sw1ph0pw0dh1dw1"),
        ("9x9 kernel 3 padding 1-2x0-1 dilation 2x1", "g1n1ic1ih9iw9oc1kh3kw3sh1sw1ph1-2pw0-1dh2dw1"),
        ("100 kernel 3 pad 1 channels 4", "g1n1ic4iw100oc4kw3sw1pw1dw1"),
        ("6x6x6 kernel 3x3x3", "g1n1ic1id6ih6iw6oc1kd3kh3kw3sd1sh1sw1pd0ph0pw0dd1dh1dw1"),
        (
            "14x14 kernel 3 stride 2 transposed output_padding 1 channels 8 to 3 bias",
            "t1g1n1ic8ih14iw14oc3kh3kw3sh2sw2ph0pw0dh1dw1oph1opw1b1",
        ),
        ("g1n1ic3ih28iw28oc16kh5kw5ph1pw1", "g1n1ic3ih28iw28oc16kh5kw5sh1sw1ph1pw1dh1dw1"),
    ],
)
def test_words(words, descriptor):
    assert problem_from_words(words).descriptor == descriptor


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("28x28", "expected a kernel size, as in 28x28 kernel 5 stride 2 padding 1, but there is none"),
        ("kernel 5", "expected the size of an input, as in 28x28 kernel 5 stride 2 padding 1, but there is none"),
        ("28x28 kernal 5", "but found 'kernal'"),
        ("28x28 kernel 5 stride 1.5", "but found '.5'"),
        ("28x28 kernel 5 stride -1", "but found '-1'"),
        ("28x28 kernel 5 kernel 3", "expected one size for 'kernel', but found 5 and 3"),
        ("28x28 kernel 5 stride 1-2", "expected sizes for 'stride', but found '1-2'"),
        ("28 kernel 5x5", "expected sizes of one to three axes, with or without channels and batch"),
        ("1x1x1x28x28 kernel 5x5", "expected sizes of one to three axes, with or without channels and batch"),
        ("28x28 kernel 5 channels 1 2 3", "expected one or two numbers of channels, but found 1 and 2 and 3"),
        ("", "expected a kernel size"),
        ("\N{SNOWMAN}", "but found '\N{SNOWMAN}'"),
    ],
)
def test_what_cannot_be_read(words, message, capsys):
    with pytest.raises(ConvError) as raised:
        problem_from_words(words)
    assert str(raised.value).startswith("cannot read ")
    assert message in str(raised.value)
    assert main(["explain", words]) == 2
    assert message in capsys.readouterr().err


SLIDE = (
    "Given groups=1, weight of size [16, 3, 5, 5], expected input[1, 1, 28, 28] to have 3 channels, "
    "but got 1 channels instead\n"
)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("1x1x28x28 kernel 16x3x5x5 stride 1 padding 1", SLIDE),
        (
            "4x4 kernel 5",
            "Calculated padded input size per channel: (4 x 4). Kernel size: (5 x 5). "
            "Kernel size can't be greater than actual input size\n",
        ),
        ("28x28 kernel 5 stride 0", "non-positive stride is not supported\n"),
        ("28x28 kernel 5 groups 0", "non-positive groups is not supported\n"),
        ("28x28 kernel 5 padding same stride 2", "padding='same' is not supported for strided convolutions\n"),
    ],
)
def test_what_is_no_convolution_fails_as_a_call_does(words, message, capsys):
    assert main(["explain", *words.split()]) == 1
    assert capsys.readouterr() == ("", message)


sizes = st.integers(1, 40)


@given(sizes, st.integers(1, 7), st.integers(1, 5), st.integers(0, 4), st.integers(0, 4), st.integers(1, 4))
def test_the_sentences_are_true(size, kernel, stride, begin, end, dilation):
    """Window starts and what is left over, counted without any formula."""
    words = f"{size} kernel {kernel} stride {stride} padding {begin}-{end} dilation {dilation}"
    taps = [k * dilation for k in range(kernel)]
    starts = [start for start in range(0, size + begin + end, stride) if start + taps[-1] < size + begin + end]
    if not starts:
        with pytest.raises(ConvError, match="Kernel size can't be greater"):
            problem_from_words(words)
        return
    text = " ".join(explanation(problem_from_words(words)).split())
    positions = re.search(r"starts at (.*): (\d+) positions?\.", text)
    said = [int(number) for number in re.findall(r"\d+", positions[1])]
    assert (int(positions[2]), said[0], said[-1]) == (len(starts), starts[0], starts[-1])
    left = size + begin + end - 1 - (starts[-1] + taps[-1])
    assert re.findall(r"(\d+) elements? at the end", text) == ([str(left)] if left else [])


def test_help_has_the_examples_and_they_work(capsys):
    with pytest.raises(SystemExit):
        main(["explain", "--help"])
    text = capsys.readouterr().out
    examples = re.findall(r"^  refconv explain (\S+|\".*?\")(?: {2,}|$)(.*)$", text, re.MULTILINE)
    assert len(examples) == 7
    for words, remark in examples:
        status = main(["explain", *words.strip('"').split()])
        output = capsys.readouterr().out
        assert status == ("an error" in remark)
        if size := re.match(r"(\d+)x(\d+)", remark):
            assert re.search(rf"^output .*{size[1]}, {size[2]}\)", output, re.MULTILINE)


def test_no_package_beside_numpy_is_needed():
    program = (
        "import sys; sys.modules.update(rich=None, hypothesis=None, torch=None, matplotlib=None)\n"
        "from refconv.cli import main; sys.exit(main(['explain', '5x5 kernel 3']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_notebooks_show_a_table():
    problem = ConvProblem.from_shapes((1, 3, 28, 28), (16, 3, 5, 5), padding=1)
    table = problem._repr_html_()
    for line in str(problem).splitlines()[1:]:
        assert line.split(maxsplit=1)[1].strip() in table
    assert problem.descriptor in table


@pytest.mark.parametrize("words", [("explain", "28x28 kernel 5"), ("check", "torch", "--list")], ids=" ".join)
def test_nobody_has_to_read_to_the_end(words):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "refconv", *words]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (OUTPUT_CLOSED, "")
