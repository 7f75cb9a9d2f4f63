"""Pictures show what the problem says, and look as they did when somebody last looked at them.

The pictures that are compared are in tests/figures/; after a change that is meant to be seen, draw them anew and look:

    python -m pytest tests/test_figures.py --mpl-generate-path=tests/figures
"""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from refconv import ConvError, ConvProblem, conv2d

matplotlib = pytest.importorskip("matplotlib")
pytest.importorskip("pytest_mpl")

from matplotlib.colors import to_rgba  # noqa: E402
from matplotlib.patches import Rectangle  # noqa: E402
from PIL import Image  # noqa: E402

from refconv import figures  # noqa: E402
from refconv.figures.theme import THEMES  # noqa: E402
from refconv.figures.window import Scene  # noqa: E402

DRAWN_WITH = "3.11.2"  # another release of matplotlib may draw text differently

IMAGE = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]])
KERNEL = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]])


def problem(H, W, kH, kW, **arguments):
    return ConvProblem.from_shapes((1, 1, H, W), (1, 1, kH, kW), **arguments)


FIVE = problem(5, 5, 3, 3)
WIDE = problem(6, 8, 3, 2, stride=(2, 1), padding=((1, 0), (2, 1)), dilation=(1, 3))

PICTURES = {
    "window_numbers": lambda: figures.plot_window(FIVE, at=(1, 0), input=IMAGE, weight=KERNEL),
    "window_padding": lambda: figures.plot_window(WIDE, at=(0, 1)),
    "window_transposed": lambda: figures.plot_window(
        ConvProblem.transposed_from_shapes((1, 1, 3, 3), (1, 1, 3, 3), stride=2), at=(2, 2)
    ),
    "window_row": lambda: figures.plot_window(
        ConvProblem.from_shapes((1, 1, 9), (1, 1, 3), dilation=2, spatial_ndim=1), at=(4,)
    ),
    "taps": lambda: figures.plot_taps(problem(9, 9, 3, 3, stride=2, padding=2, dilation=2), at=1),
    "taps_of_layers": lambda: figures.plot_taps([problem(12, 12, 3, 3), problem(10, 10, 2, 2, stride=2)]),
    "receptive_field": lambda: figures.plot_receptive_field(
        [problem(32, 32, 5, 5), problem(28, 28, 2, 2, stride=2), problem(14, 14, 5, 5)], names=["C1", "S2", "C3"]
    ),
    "kernels": lambda: figures.plot_kernels(
        [[[-1, 0, 1]] * 3, np.outer([1, 2, 1], [1, 2, 1])], titles=["edge", "blur"]
    ),
    "feature_maps": lambda: figures.plot_feature_maps(np.arange(48).reshape(3, 4, 4) - 24, titles="abc", signed=True),
}


@pytest.mark.parametrize("colours", THEMES)
@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.mpl_image_compare(baseline_dir="figures", style="default", savefig_kwargs={"dpi": 80})
def test_picture(name, colours, request):
    if not (request.config.getoption("--mpl") or request.config.getoption("--mpl-generate-path")):
        pytest.skip("pictures are compared only with --mpl")
    if matplotlib.__version__ != DRAWN_WITH:
        pytest.skip(f"the pictures were drawn with matplotlib {DRAWN_WITH}")
    with figures.theme(colours):
        return PICTURES[name]()


# ---- What the pictures show is what the problem says ----


def cells_of_colour(axes, scene, grid, colour):
    """The cells of a grid that have a colour."""
    cells = set()
    for patch in axes.patches:
        if isinstance(patch, Rectangle) and patch.get_fill() and patch.get_facecolor() == to_rgba(colour):
            x, y = patch.get_x() - grid.left, patch.get_y() - grid.top
            row, column = round(y / scene.cell), round(x / scene.cell)
            if 0 <= row < grid.rows and 0 <= column < grid.columns:
                cells.add((row, column))
    return cells


@pytest.mark.parametrize("one", [FIVE, WIDE, problem(4, 4, 3, 3, padding=2, stride=3)], ids=lambda p: p.descriptor)
def test_the_shaded_window_is_the_taps(one):
    scene = Scene.of("test", one, None, None)
    oH, oW = one.output_size
    for at in [(oh, ow) for oh in range(oH) for ow in range(oW)]:
        figure = figures.plot_window(one, at=at)
        (axes,) = figure.axes
        image, kernel, output = scene.grids(axes)
        top, left = one.padding[0][0], one.padding[1][0]
        taps = one.taps(*at)
        light = THEMES["light"]
        assert cells_of_colour(axes, scene, image, light.window) == {(ih + top, iw + left) for _, (ih, iw) in taps}
        assert cells_of_colour(axes, scene, kernel, light.window) == {k for k, _ in taps}
        assert cells_of_colour(axes, scene, output, light.current) == {at}
        inputs = cells_of_colour(axes, scene, image, light.input)
        assert len(inputs) == one.input_size[0] * one.input_size[1] - len(taps)


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_sum_is_written_out():
    figure = figures.plot_window(FIVE, at=(1, 0), input=IMAGE, weight=KERNEL)
    assert "output[1, 0] = 0⋅1 + 1⋅0 + 1⋅1 + 0⋅0 + 0⋅1 + 1⋅0 + 0⋅1 + 0⋅0 + 1⋅1 = 2" in texts(figure)


def test_outputs_appear_in_reading_order():
    y = conv2d(IMAGE[None, None].astype(float), KERNEL[None, None].astype(float))[0, 0]
    figure = figures.plot_window(FIVE, at=(1, 0), input=IMAGE, weight=KERNEL)
    written = [text for text in texts(figure) if re.fullmatch(r"\d", text)]
    assert written[-4:] == [str(int(value)) for value in y.flat[:4]] == ["4", "3", "4", "2"]


def test_receptive_fields_of_lenet():
    """LeCun et al. 1998, section II.B: units of S2 see 6x6, those of C3 14x14, of S4 16x16, of C5 the whole 32x32."""
    sizes = [(32, 5, 1), (28, 2, 2), (14, 5, 1), (10, 2, 2), (5, 5, 1)]
    chain = [problem(n, n, k, k, stride=s) for n, k, s in sizes]
    fields = figures.receptive_fields(chain)
    assert [bottom - top for (top, bottom), _ in fields] == [5, 6, 14, 16, 32]


def test_a_field_of_nothing_but_padding_is_empty():
    assert figures.receptive_fields(problem(2, 2, 1, 1, padding=3), at=(0, 0)) == [((0, 0), (0, 0))]


# ---- The animation ----


def test_gif_has_a_frame_for_each_output(tmp_path):
    figures.animate_window(FIVE, input=IMAGE, weight=KERNEL).save(tmp_path / "window.gif", seconds=0.5)
    with Image.open(tmp_path / "window.gif") as gif:
        assert gif.n_frames == 9
        assert gif.info["duration"] == 500


def test_page_needs_no_other_file(tmp_path):
    figures.animate_window(WIDE).save(tmp_path / "window.html")
    page = (tmp_path / "window.html").read_text(encoding="utf-8")
    assert page.count('<div class="frame" hidden>') == np.prod(WIDE.output_size)
    assert not re.search(r"""(src|href)=["'](?!#)|@import|url\((?!#)""", page)
    captions = json.loads(re.search(r"captions = (\[.*?\]),", page)[1])
    assert captions[0] == f"output[0, 0]: a sum of {len(WIDE.taps(0, 0))} products"


def test_ids_are_unique_and_colours_are_variables():
    page = figures.animate_window(FIVE).to_html()
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids)) > 9
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    for colour in (THEMES["light"].input, THEMES["light"].outline):
        assert page.count(colour) == 1  # where the variable is defined


# ---- Errors ----


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda: figures.plot_window(ConvProblem.parse("ic1id4ih4iw4oc1kd2kh2kw2")),
            "plot_window(): pictures are of one or two spatial axes, not 3",
        ),
        (
            lambda: figures.plot_window(FIVE, input=np.eye(4)),
            "plot_window(): input must have the shape (5, 5), but has (4, 4)",
        ),
        (
            lambda: figures.animate_window(problem(28, 28, 3, 3)),
            "animate_window(): 676 frames are too many, at most 400",
        ),
        (
            lambda: figures.plot_taps([problem(12, 12, 3, 3), problem(12, 12, 3, 3)]),
            "plot_taps(): layer 1 has input size (12, 12), but layer 0 has output size (10, 10)",
        ),
        (lambda: figures.plot_taps([]), "plot_taps(): there are no layers"),
        (
            lambda: figures.plot_receptive_field([FIVE], names=["a", "b"]),
            "plot_receptive_field(): there are 1 layers, but 2 names",
        ),
        (lambda: figures.plot_kernels([1, 2, 3]), "plot_kernels(): weight must have 2 to 4 axes, but has shape (3,)"),
        (
            lambda: figures.plot_feature_maps(np.zeros((2, 3, 3)), titles=["a"]),
            "plot_feature_maps(): there are 2 images, but 1 titles",
        ),
    ],
)
def test_errors_say_what_is_wrong(draw, message):
    with pytest.raises(ConvError) as raised:
        draw()
    assert str(raised.value) == message


@pytest.mark.parametrize("draw", [figures.plot_window, figures.plot_receptive_field])
def test_a_position_outside_is_an_error(draw):
    with pytest.raises(IndexError, match="is outside of the output size"):
        draw(FIVE, at=(3, 0))
    with pytest.raises(IndexError):
        figures.plot_taps(FIVE, at=-1)


def test_unknown_endings_and_themes(tmp_path):
    with pytest.raises(ValueError, match=r"saved as \.gif or \.html, not \.mp4"):
        figures.animate_window(FIVE).save(tmp_path / "window.mp4")
    with pytest.raises(ValueError, match="no theme 'blue', only 'light' and 'dark'"), figures.theme("blue"):
        pass


def test_refconv_alone_does_not_import_matplotlib():
    program = "import sys, refconv, refconv.testing; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
