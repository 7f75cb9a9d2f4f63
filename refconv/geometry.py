"""Where a window lies along one axis: how many positions it has, and which input each tap of it reads.

Everything here is about a single spatial axis; the axes do not know of each other. All arithmetic is in Python ints, so nothing
wraps around.

    size        the input's size along the axis          index i
    kernel      the kernel's size                        index k
    output      the number of window positions           index o
    begin, end  zeros put before and after the input

The index map, from which all else follows: at output position o, tap k of the kernel meets the input at

    i = o * stride - begin + k * dilation
"""

__all__ = ["extent", "output_size", "same_padding", "taps", "transposed_output_size", "transposed_taps"]


def extent(kernel: int, dilation: int) -> int:
    """Return how many input elements a dilated kernel spans, from its first tap to its last.

    Examples
    --------
    >>> extent(3, 1), extent(3, 2)
    (3, 5)
    """
    return dilation * (kernel - 1) + 1


def output_size(size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int) -> int:
    """Return the number of positions at which the kernel fits into the padded input.

    Parameters
    ----------
    size, kernel, stride, dilation : int
        Of this axis.
    padding : tuple of int, (begin, end)
        Zeros before and after.

    Returns
    -------
    int
        ``floor((size + begin + end - dilation * (kernel - 1) - 1) / stride) + 1``

    Notes
    -----
    Windows start at 0, stride, 2 * stride, ... of the padded input, which has size + begin + end elements. The window at output
    position o is the last that fits if its last element, o * stride + dilation * (kernel - 1), is still inside, that is at most
    size + begin + end - 1. So o is at most (size + begin + end - 1 - dilation * (kernel - 1)) / stride, rounded down to an int,
    and counting from 0 there is one position more than that. What is left over at the end (less than a stride) is never read.
    This is the formula in the documentation of ``torch.nn.Conv2d``, with 2 * padding written as begin + end.

    Examples
    --------
    >>> output_size(28, kernel=3, stride=1, padding=(0, 0), dilation=1)
    26
    >>> output_size(28, kernel=3, stride=2, padding=(1, 1), dilation=1)
    14
    """
    return (size + sum(padding) - extent(kernel, dilation)) // stride + 1


def transposed_output_size(
    size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int, output_padding: int
) -> int:
    """Return the size that a transposed convolution gives back: the inverse of `output_size`.

    Returns
    -------
    int
        ``(size - 1) * stride - begin - end + dilation * (kernel - 1) + 1 + output_padding``

    Notes
    -----
    With a stride above 1 several inputs have the same output size, because of the left-over elements at the end. The formula
    is `output_size` solved for the smallest of them; output_padding, from 0 to stride - 1, says how many elements were left over.

    Examples
    --------
    >>> transposed_output_size(14, kernel=3, stride=2, padding=(1, 1), dilation=1, output_padding=1)
    28
    >>> output_size(28, kernel=3, stride=2, padding=(1, 1), dilation=1)
    14
    """
    return (size - 1) * stride - sum(padding) + extent(kernel, dilation) + output_padding


def same_padding(kernel: int, dilation: int) -> tuple[int, int]:
    """Return the padding that makes the output as large as the input (for stride 1).

    If the number of zeros is odd, the extra one goes to the end, as in torch.

    Examples
    --------
    >>> same_padding(3, 1), same_padding(4, 1)
    ((1, 1), (1, 2))
    """
    total = dilation * (kernel - 1)
    begin = total // 2 if total >= 0 else -(-total // 2)  # rounded towards zero, as torch's C++ does
    return begin, total - begin


def taps(o: int, size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int) -> list[tuple[int, int]]:
    """Return the pairs (k, i) of kernel and input index that meet at output position o; those in the padding are left out.

    Examples
    --------
    >>> taps(0, size=5, kernel=3, stride=1, padding=(1, 1), dilation=1)
    [(1, 0), (2, 1)]
    """
    first = o * stride - padding[0]
    return [(k, first + k * dilation) for k in range(kernel) if 0 <= first + k * dilation < size]


def transposed_taps(
    o: int, size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int
) -> list[tuple[int, int]]:
    """Return the pairs (k, i) of kernel and input index that meet at position o of a transposed convolution's output.

    Input and output change places in the index map: the element o of the output gets contributions from the i with
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
