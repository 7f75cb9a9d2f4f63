"""What a passing `assert_conv_close` costs, next to `refconv.conv2d` of the same problem.

    python -m benchmarks.verdicts                      every layer of the zoo up to 10^8 multiply-adds
    python -m benchmarks.verdicts --dtype float64 --layers lenet,1x1

CPU time of one thread, which other programs change little. Contenders take turns; the best of many turns counts. Judged
are the exact result, which has all bits right, and torch's, which is right within its arithmetic.
"""

import argparse
import os
import time

import numpy as np
import torch

import refconv
from refconv.testing import assert_conv_close

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


def measured(layer, dtype, seconds: float) -> tuple[list[float], list[str]]:
    """CPU seconds of the convolution and of both verdicts, and these verdicts."""
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(dtype) for shape in (layer.input, layer.weight))
    call = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation, "groups": layer.groups}
    exact = refconv.conv2d(x, w, **call)
    theirs = torch.nn.functional.conv2d(torch.from_numpy(x), torch.from_numpy(w), **call).numpy()
    functions = [lambda: refconv.conv2d(x, w, **call)]
    functions += [lambda y=y: assert_conv_close(y, x, w, **call) for y in (exact, theirs)]
    return best_times(functions, seconds), [function().grade for function in functions[1:]]


def main():
    """Read the command line, and print a line for each layer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", default="", help="parts of their names, with commas between")
    parser.add_argument("--dtype", default="float32", choices=["float16", "float32", "float64"])
    parser.add_argument("--most", type=float, default=1e8, help="multiply-adds (default: %(default)g)")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each layer (default: %(default)g)")
    options = parser.parse_args()
    os.environ["REFCONV_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    print(f"{'':32}{'conv2d':>10}{'exact':>10}{'ratio':>7}{'torch':>11}{'ratio':>7}   microseconds")
    for layer in select(ZOO, options.layers.split(",")):
        if layer.macs > options.most:
            continue
        (conv, exact, theirs), grades = measured(layer, options.dtype, options.seconds)
        times = f"{conv * 1e6:10.1f}{exact * 1e6:10.1f}{exact / conv:7.2f}{theirs * 1e6:11.1f}{theirs / conv:7.2f}"
        print(f"{layer.name:32}{times}   {', '.join(grades)}", flush=True)


if __name__ == "__main__":
    main()
