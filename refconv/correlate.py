"""The one way from arrays to a kernel: plain correlations, by the dtype of the result.

Every function of refconv comes down to correlations of views of its operands; `refconv.adjoint` has the reductions of
the others. Nothing is checked here: the arguments are those of a `ConvProblem`, or follow from them.
"""

from refconv import complexes, floats, integers
from refconv import threads as threading
from refconv.errors import ConvError

__all__ = ["correlate", "kernel_options"]

ALGORITHMS = ("auto", "blocked", "direct")
OVERFLOW = ("raise", "wrap", "saturate")


def kernel_options(function, overflow, algorithm, threads):
    """Check the arguments that say how a result is computed, and return them as keywords for the functions below.

    Raises
    ------
    ConvError
        ``{function}(): argument 'overflow' must be one of ...``, 'algorithm' likewise, or as for
        `refconv.threads.thread_count`.
    TypeError
        As for `refconv.threads.thread_count`.
    """
    for name, value, known in (("overflow", overflow, OVERFLOW), ("algorithm", algorithm, ALGORITHMS)):
        if value not in known:
            raise ConvError(f"{function}(): argument '{name}' must be one of {', '.join(known)}, but got {value!r}")
    return {"overflow": overflow, "algorithm": algorithm, "threads": threading.thread_count(threads, function)}


def correlate(input, weight, bias, output, *, stride, padding, dilation, groups, overflow, algorithm, threads):
    """Fill `output` with the exact correlation of input and weight, made to fit its dtype once.

    Parameters
    ----------
    input : ndarray, shape (N, C_in, ...), over one to three spatial axes
        Like all of these with any strides; input, weight and bias of one dtype, or all of integer dtypes.
    weight : ndarray, shape (C_out, C_in // groups, ...)
    bias : ndarray, shape (C_out,), or None
    output : ndarray, shape (N, C_out, ...)
        Of the operands' kind of numbers. Its sizes say how many windows there are along each axis. They may lie
        anywhere, also wholly outside of the image or short of its end.
    stride, dilation : tuple of int
        Along each axis.
    padding : tuple of int
        Along each axis how far before the image the first window starts; negative if after its beginning.
    groups : int
    overflow : {'raise', 'wrap', 'saturate'}
        What to do about an integer that does not fit; the other kinds of numbers have infinities for that.
    algorithm : {'auto', 'blocked', 'direct'}
    threads : int
    """
    if output.size == 0:
        return
    options = {
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "algorithm": algorithm,
        "threads": threads,
    }
    if output.dtype.kind == "c":
        complexes.correlate(input, weight, bias, output, **options)
    elif output.dtype.kind in "iu":
        integers.correlate(input, weight, bias, output, **options, overflow=overflow)
    else:
        floats.correlate(input, weight, bias, output, **options)
