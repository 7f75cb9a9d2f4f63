"""Where a window lies along one axis: how many positions it has, and which input each of its taps reads.

    size        the input's size along the axis          index i
    kernel      the kernel's size                        index k
    output      the number of window positions           index o
    begin, end  zeros put before and after the input

The index map, from which all else follows: at output position o, tap k of the kernel meets the input at

    i = o * stride - begin + k * dilation

Everything here is about a single spatial axis; the axes know nothing of each other. All arithmetic is in Python ints,
so nothing wraps around. Nothing is checked: that is for `refconv.checks`.
"""

__all__ = [
    "equation",
    "extent",
    "output_size",
    "same_padding",
    "taps",
    "transposed_equation",
    "transposed_output_size",
    "transposed_taps",
]

Pair = tuple[int, int]


def extent(kernel: int, dilation: int) -> int:
    """Return how many input elements a dilated kernel spans, from its first tap to its last.

    Examples
    --------
    >>> extent(3, 1), extent(3, 2)
    (3, 5)
    """
    return dilation * (kernel - 1) + 1


def output_size(size: int, kernel: int, stride: int, padding: Pair, dilation: int) -> int:
    """Return the number of positions at which the kernel fits into the padded input.

    Parameters
    ----------
    size, kernel, stride, dilation : int
        Of this axis.
    padding : (int, int)
        Zeros before and after.

    Returns
    -------
    int
        ``floor((size + begin + end - dilation * (kernel - 1) - 1) / stride) + 1``

    Notes
    -----
    Windows start at 0, stride, 2 * stride, ... of the padded input, which has size + begin + end elements. The window
    at output position o ends at o * stride + dilation * (kernel - 1). It is inside as long as that is at most the last
    index, size + begin + end - 1; so the last o is (size + begin + end - 1 - dilation * (kernel - 1)) / stride, rounded
    down. Positions count from 0, so there is one more of them than that. Elements left over at the end, fewer than a
    stride, are never read.

    This is the formula in the documentation of ``torch.nn.Conv2d``, with begin + end for 2 * padding.

    Examples
    --------
    >>> output_size(28, kernel=3, stride=1, padding=(0, 0), dilation=1)
    26
    >>> output_size(28, kernel=3, stride=2, padding=(1, 1), dilation=1)
    14
    """
    return (size + sum(padding) - extent(kernel, dilation)) // stride + 1


def equation(size: int, kernel: int, stride: int, padding: Pair, dilation: int) -> str:
    """Return the equation of `output_size` with the numbers put in.

    Examples
    --------
    >>> equation(28, kernel=5, stride=1, padding=(1, 1), dilation=1)
    'floor((28 + 1 + 1 - 1*(5 - 1) - 1) / 1) + 1 = 26'
    """
    begin, end = padding
    result = output_size(size, kernel, stride, padding, dilation)
    return f"floor(({size} + {begin} + {end} - {dilation}*({kernel} - 1) - 1) / {stride}) + 1 = {result}"


def transposed_output_size(
    size: int, kernel: int, stride: int, padding: Pair, dilation: int, output_padding: int
) -> int:
    """Return the size that a transposed convolution gives back: the inverse of `output_size`.

    Returns
    -------
    int
        ``(size - 1) * stride - begin - end + dilation * (kernel - 1) + 1 + output_padding``

    Notes
    -----
    With a stride above 1, inputs of several sizes give the same output size: they differ in what is left over at the
    end. The formula is `output_size` solved for the smallest of them; output_padding says how many elements were left
    over.

    Examples
    --------
    >>> transposed_output_size(14, kernel=3, stride=2, padding=(1, 1), dilation=1, output_padding=1)
    28
    >>> output_size(28, kernel=3, stride=2, padding=(1, 1), dilation=1)
    14
    """
    return (size - 1) * stride - sum(padding) + extent(kernel, dilation) + output_padding


def transposed_equation(size: int, kernel: int, stride: int, padding: Pair, dilation: int, output_padding: int) -> str:
    """Return the equation of `transposed_output_size` with the numbers put in.

    Examples
    --------
    >>> transposed_equation(14, kernel=3, stride=2, padding=(1, 1), dilation=1, output_padding=1)
    '(14 - 1)*2 - 1 - 1 + 1*(3 - 1) + 1 + 1 = 28'
    """
    begin, end = padding
    result = transposed_output_size(size, kernel, stride, padding, dilation, output_padding)
    return f"({size} - 1)*{stride} - {begin} - {end} + {dilation}*({kernel} - 1) + 1 + {output_padding} = {result}"


def same_padding(kernel: int, dilation: int) -> Pair:
    """Return the padding that makes the output as large as the input (for stride 1).

    If the number of zeros is odd, the extra one goes to the end, as in torch.

    Examples
    --------
    >>> same_padding(3, 1), same_padding(4, 1)
    ((1, 1), (1, 2))
    """
    total = dilation * (kernel - 1)
    begin = total // 2 if total >= 0 else -(-total // 2)  # rounded towards zero, as in torch's C++
    return begin, total - begin


def taps(o: int, size: int, kernel: int, stride: int, padding: Pair, dilation: int) -> list[Pair]:
    """Return the pairs (k, i) of kernel and input index that meet at output position o, less those in the padding.

    Examples
    --------
    >>> taps(0, size=5, kernel=3, stride=1, padding=(1, 1), dilation=1)
    [(1, 0), (2, 1)]
    """
    first = o * stride - padding[0]
    return [(k, first + k * dilation) for k in range(kernel) if 0 <= first + k * dilation < size]


def transposed_taps(o: int, size: int, kernel: int, stride: int, padding: Pair, dilation: int) -> list[Pair]:
    """Return the pairs (k, i) of kernel and input index that meet at position o of a transposed convolution's output.

    Input and output change places in the index map: element o of the output is the sum over all k and i with
    o = i * stride - begin + k * dilation.

    Examples
    --------
    >>> transposed_taps(2, size=3, kernel=3, stride=2, padding=(0, 0), dilation=1)
    [(0, 1), (2, 0)]
    """
    pairs = []
    for k in range(kernel):
        i, remainder = divmod(o + padding[0] - k * dilation, stride)
        if remainder == 0 and 0 <= i < size:
            pairs.append((k, i))
    return pairs
