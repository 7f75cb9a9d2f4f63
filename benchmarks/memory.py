"""Peak extra memory of a convolution, one fresh process per number.

What is counted: the high-water mark of the process's resident set during one call (VmHWM, reset beforehand through
/proc/self/clear_refs), less what was resident before the call (interpreter, libraries, operands), less the result that
the call returns.  A tiny layer of the same kind runs first, so that code pages, thread stacks and pools are resident,
and its freed memory is given back (malloc_trim).  The kernel's counters are exact to about 0.3 MB per thread.

Three ways are measured:

refconv         float32 operands in, float32 result out
torch-f64       float64 operands in, float64 result out: the convolution alone
torch-workflow  float32 operands in, upcast to float64, float64 result out: the test that refconv replaces.
                The upcast copies of the operands count as extra
"""

import ctypes
import gc
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.contenders import prepare_refconv_f32, prepare_torch_f64
from benchmarks.operands import float32_operands
from benchmarks.team import ROOT, child_cpus, child_environment
from benchmarks.zoo import Layer

# Left to itself glibc raises its threshold as blocks are freed, and what fragmentation then costs depends on what the
# process did before (torch's ConvNeXt depthwise layer: 6 MB or 60 MB).  With a fixed one, what is freed is returned.
MALLOC_SETTINGS = {"MALLOC_MMAP_THRESHOLD_": "65536"}

DEFINITION = (
    "Extra memory: high-water mark of the resident set during one call in a fresh process, less what was resident "
    "before the call (operands included), less the result; freed blocks are returned at once, so fragmentation is not "
    "counted. `torch f64` is the convolution alone on float64 operands; "
    "`upcast + torch f64` starts from float32 operands, and its upcast copies count as extra."
)


def _prepare_torch_workflow(layer, threads):
    """Start from float32 operands, as a test of a float32 convolution does."""
    import torch

    torch.set_num_threads(threads)
    x, w = (torch.from_numpy(operand) for operand in float32_operands(layer))

    def call():
        x64, w64 = x.double(), w.double()
        return torch.nn.functional.conv2d(x64, w64, None, layer.stride, layer.padding, layer.dilation, layer.groups)

    return call


WAYS = {
    "refconv": prepare_refconv_f32,
    "torch-f64": prepare_torch_f64,
    "torch-workflow": _prepare_torch_workflow,
}


def _resident_bytes(field):
    """Read VmRSS (now) or VmHWM (high-water mark) of this process."""
    return int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


def _extra_bytes(way, layer, threads):
    """Measure, in this process."""
    WAYS[way](layer.shrunk(), threads)()
    call = WAYS[way](layer, threads)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = _resident_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    result = call()
    return max(0, _resident_bytes("VmHWM") - before - result.nbytes)


def extra_memory(way, layer, threads):
    """Return the peak extra bytes of one of `WAYS`, or None if its package is missing or fails."""
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", way, json.dumps(asdict(layer)), str(threads)],
        env=child_environment(threads) | MALLOC_SETTINGS,
        preexec_fn=lambda: os.sched_setaffinity(0, child_cpus(threads)),
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    return int(finished.stdout.split()[-1]) if finished.returncode == 0 else None


if __name__ == "__main__":
    print(_extra_bytes(sys.argv[1], Layer.from_json(json.loads(sys.argv[2])), int(sys.argv[3])))
