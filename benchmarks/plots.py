"""The two pictures: the zoo, and how time scales with size and with the data's difficulty."""

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, PercentFormatter

# Okabe and Ito's palette, which colour-blind readers can tell apart; every series has a shape of its own besides.
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
PEER_STYLES = {  # contender -> label, colour, marker
    "torch-f64": ("torch float64", BLUE, "o"),
    "torch-f32": ("torch float32", SKY, "v"),
    "jax-f64": ("jax float64", ORANGE, "s"),
    "numpy-f64": ("NumPy im2col float64", GREEN, "^"),
    "onnx-f64": ("onnx reference float64", PURPLE, "D"),
    "scipy-f64": ("SciPy direct float64", VERMILION, "P"),
}
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "legend.frameon": False,
    "figure.dpi": 130,
}


def draw_zoo(run, path):
    """Draw each peer's time over refconv's, a row per layer and a panel per thread count, and the share of peak.

    Parameters
    ----------
    run : Run
    path : path-like
        The PNG to write.
    """
    names = list(dict.fromkeys(result.layer.name for result in run.zoo))
    panels = len(run.threads)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1,
            panels + 1,
            figsize=(4.6 + 3.6 * panels, 2.2 + 0.235 * len(names)),
            width_ratios=[3] * panels + [1.6],
            sharey=True,
            layout="constrained",
            squeeze=False,
        )
        for ax, threads in zip(axes[0], run.threads, strict=False):
            _draw_ratios(ax, run, threads, names)
        _draw_peak_shares(axes[0, -1], run, names)
        axes[0, 0].set_yticks(range(len(names)), names)
        axes[0, 0].set_ylim(len(names) - 0.4, -0.6)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        figure.suptitle(
            f"Time of other convolutions over refconv's (correctly rounded float32)\n{run.machine['processor']}",
            x=0.01,
            ha="left",
            fontsize=12,
        )
        figure.savefig(path)
        plt.close(figure)


def _draw_ratios(ax, run, threads, names):
    results = {result.layer.name: result for result in run.zoo if result.threads == threads}
    _shade_rows(ax, len(names))
    for contender, (label, colour, marker) in PEER_STYLES.items():
        points = [(results[name].ratio(contender, "refconv-f32"), row) for row, name in enumerate(names)]
        points = [(ratio, row) for ratio, row in points if ratio]
        if points:
            filled = contender == "torch-f64"
            ax.scatter(
                *zip(*points, strict=True),
                label=label,
                marker=marker,
                s=34 if filled else 24,
                facecolor=colour if filled else "none",
                edgecolor=colour,
                linewidth=1.2,
                zorder=3 if filled else 2,
            )
    ax.axvline(1, color=BLACK, linewidth=1)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set_title(f"{threads} thread{'s' if threads > 1 else ''}")
    ax.set_xlabel("time / refconv's time: right of 1, refconv is faster")


def _draw_peak_shares(ax, run, names):
    _shade_rows(ax, len(names))
    rows = {name: row for row, name in enumerate(names)}
    height = 0.8 / len(run.threads)
    for index, threads in enumerate(run.threads):
        shares = [(rows[r.layer.name], run.peak_share(r)) for r in run.zoo if r.threads == threads]
        shares = [(row - 0.4 + (index + 0.5) * height, share) for row, share in shares if share]
        if shares:
            colour = (BLACK, "#888888", "#BBBBBB")[index % 3]
            ax.barh(
                *zip(*shares, strict=True),
                height=height,
                color=colour,
                label=f"{threads} thread{'s' if threads > 1 else ''}",
                zorder=2,
            )
    ax.set_xlim(0, 1)
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.set_title("refconv's share of FMA peak")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.05), ncols=len(run.threads), fontsize=8, columnspacing=1)


def _shade_rows(ax, count):
    """Shade every other row, to lead the eye from the names."""
    for row in range(0, count, 2):
        ax.axhspan(row - 0.5, row + 0.5, color="#F2F2F2", linewidth=0, zorder=0)
    ax.tick_params(axis="y", length=0)


def draw_scaling(run, path):
    """Draw time per multiply-add against size, and time against the difficulty of the data.

    Parameters
    ----------
    run : Run
    path : path-like
        The PNG to write.
    """
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6), layout="constrained")
        _draw_ladder(left, run)
        _draw_difficulty(right, run)
        figure.savefig(path)
        plt.close(figure)


def _draw_ladder(ax, run):
    styles = {
        "refconv-f32": ("refconv", BLACK, "o"),
        "torch-f64": PEER_STYLES["torch-f64"],
        "torch-f32": PEER_STYLES["torch-f32"],
    }
    for index, threads in enumerate(run.threads):
        for contender, (label, colour, marker) in styles.items():
            points = [
                (result.layer.macs, result.best(contender) / result.layer.macs * 1e9)
                for result in run.ladder
                if result.threads == threads and result.best(contender)
            ]
            if points:
                ax.plot(
                    *zip(*points, strict=True),
                    label=f"{label}, {threads} thread{'s' if threads > 1 else ''}",
                    color=colour,
                    marker=marker,
                    markersize=4.5,
                    markerfacecolor=colour if index == 0 else "white",
                    linestyle=("-", "--", ":")[index % 3],
                )
    floor = 1e9 / run.peaks[run.threads[0]]
    ax.axhline(floor, color="#888888", linewidth=1)
    ax.annotate(
        "float64 multiply-add peak, 1 thread" if run.threads[0] == 1 else "float64 multiply-add peak",
        (0.01, floor),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="left",
        color="#666666",
        fontsize=8,
    )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set_xlabel("multiply-adds (3x3 layers, channels and sides growing together)")
    ax.set_ylabel("nanoseconds per multiply-add")
    ax.set_title("Time per multiply-add: flat is the goal")
    ax.grid(axis="y", color="#E8E8E8", zorder=0)
    if run.ladder:
        ax.legend(fontsize=8)


def _draw_difficulty(ax, run):
    results = [result for result in run.hard if result.best("refconv-f32")]
    ax.set_title(f"Time on hard data, {run.hard[0].layer.terms} terms for each output" if run.hard else "")
    if not results or results[0].layer.data != "normal":
        ax.text(0.5, 0.5, "not measured", ha="center", transform=ax.transAxes)
        return
    normal = results[0].best("refconv-f32")
    ratios = [result.best("refconv-f32") / normal for result in results]
    ax.barh(range(len(results)), ratios, color=[BLACK] + [BLUE] * (len(results) - 1), height=0.65, zorder=2)
    for row, (result, ratio) in enumerate(zip(results, ratios, strict=True)):
        shares = result.rungs.get("refconv-f32")
        rungs = f"   rung 2: {shares['rung2']:.2%}, rung 3: {shares['rung3']:.2%}" if shares else ""
        ax.text(ratio, row, f" {ratio:.2f}{rungs}", va="center", fontsize=8)
    ax.axvline(1, color=BLACK, linewidth=1, zorder=3)
    ax.set_yticks(range(len(results)), [result.layer.data for result in results])
    ax.invert_yaxis()
    ax.set_xlim(0, max(ratios) * 1.75)
    ax.set_xlabel("refconv's time over its time on normal data")
