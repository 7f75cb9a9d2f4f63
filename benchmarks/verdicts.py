"""What a passing `assert_conv_close` costs, next to `refconv.conv2d` of the same problem.

    python -m benchmarks.verdicts                      the zoo's layers up to 10^8 multiply-adds, and small problems
    python -m benchmarks.verdicts --dtype float64 --layers lenet,1x1 --small 0
    python -m benchmarks.verdicts --layers none --small 1000

CPU time of one thread, which other programs change little. Contenders take turns; the best of many turns counts. Judged
are the exact result, which has all bits right, and torch's, which is right within its arithmetic. Small problems are of
all functions and dtypes, each verdict next to the function that it is about.
"""

import argparse
import os
import time
from statistics import median

import numpy as np
import torch

import refconv
from refconv.testing import assert_conv_close

from .small_problems import small_problems
from .zoo import ZOO, select

# Seconds that a turn takes at least, so that the clock is fine enough.
_LEAST_TURN = 2e-4


def best_times(functions, seconds: float) -> list[float]:
    """CPU seconds of one call of each, the best of the turns that so much time allows."""
    began = time.thread_time()
    functions[0]()
    repeats = max(1, int(_LEAST_TURN / max(time.thread_time() - began, 1e-9)))
    best = [float("inf")] * len(functions)
    stop = time.monotonic() + seconds
    while time.monotonic() < stop or float("inf") in best:
        for i, function in enumerate(functions):
            began = time.thread_time()
            for _ in range(repeats):
                function()
            best[i] = min(best[i], (time.thread_time() - began) / repeats)
    return best


def measured(function, results, call, seconds: float) -> tuple[list[float], list[str]]:
    """CPU seconds of a function and of the verdicts on some results of it, and these verdicts."""
    functions = [lambda y=y: assert_conv_close(y, **call) for y in results]
    return best_times([function, *functions], seconds), [function().grade for function in functions]


def measured_layer(layer, dtype, seconds: float) -> tuple[list[float], list[str]]:
    """The same of `refconv.conv2d`."""
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(dtype) for shape in (layer.input, layer.weight))
    call = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation, "groups": layer.groups}
    exact = refconv.conv2d(x, w, **call)
    theirs = torch.nn.functional.conv2d(torch.from_numpy(x), torch.from_numpy(w), **call).numpy()
    call |= {"input": x, "weight": w}
    return measured(lambda: refconv.conv2d(**call), (exact, theirs), call, seconds)


def show_small_problems(count: int, seconds: float):
    """Print which ratios verdicts on small problems have, and the worst of these by name."""
    ratios = {"all bits equal": [], "rounded differently": []}
    for small in small_problems(count):
        results = small.refconv(), small.rounded_sums()
        (function, *verdicts), grades = measured(small.refconv, results, small.call, seconds)
        for verdict, grade in zip(verdicts, grades, strict=True):
            of_grade = ratios["all bits equal" if grade == "EXACT" else "rounded differently"]
            of_grade.append((verdict / function, function, small.name))
    print(f"\n{count} small problems{'':16}median   over 4   worst")
    for what, found in ratios.items():
        if found:
            values = [ratio for ratio, *_ in found]
            worst, function, name = max(found)
            over = sum(value > 4 for value in values)
            print(f"{what:32}{median(values):7.2f}{over:9}{worst:8.2f}   {name} ({function * 1e6:.1f} microseconds)")


def main():
    """Read the command line, print a line for each layer, and two about all small problems."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", default="", help="parts of their names, with commas between")
    parser.add_argument("--dtype", default="float32", choices=["float16", "float32", "float64"])
    parser.add_argument("--most", type=float, default=1e8, help="multiply-adds (default: %(default)g)")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each layer (default: %(default)g)")
    parser.add_argument("--small", type=int, default=360, help="small problems (default: %(default)s)")
    options = parser.parse_args()
    os.environ["REFCONV_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    print(f"{'':32}{'conv2d':>10}{'exact':>10}{'ratio':>7}{'torch':>11}{'ratio':>7}   microseconds")
    for layer in select(ZOO, options.layers.split(",")):
        if layer.macs > options.most:
            continue
        (conv, exact, theirs), grades = measured_layer(layer, options.dtype, options.seconds)
        times = f"{conv * 1e6:10.1f}{exact * 1e6:10.1f}{exact / conv:7.2f}{theirs * 1e6:11.1f}{theirs / conv:7.2f}"
        print(f"{layer.name:32}{times}   {', '.join(grades)}", flush=True)
    if options.small:
        show_small_problems(options.small, options.seconds / 10)


if __name__ == "__main__":
    main()
