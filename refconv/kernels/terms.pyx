# cython: language_level=3, wraparound=False, cdivision=True
"""Some elements of somebody's result, looked up term by term: for refconv.testing, where a whole pass would cost more.

The loops are those of the definition, over tables in place of geometry, so that they serve every member of the family:
`refconv.testing.terms` has the tables. Sums are kept in float64, which is exact enough to judge an error by; what that
proves is in `refconv.testing.screening`.
"""
import math

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.math cimport fabs, sqrt
from libc.stdint cimport int64_t

from refconv.kernels.fpenv cimport FE_DFL_ENV, fegetenv, fenv_t, fesetenv
from refconv.kernels.rule cimport Rule

ctypedef fused number:
    float
    double

cdef extern from *:
    """
    #define LEAST_A 0x1p-900     /* below, products of float64 numbers may be subnormal */
    #define LARGEST_A 0x1p+500   /* above, their squares may overflow */
    """
    const double LEAST_A, LARGEST_A

cdef enum:
    BLOCK = 64                 # elements at a time, whose roots and divisions do not wait for each other

cdef struct Sums:
    double y                   # of the terms
    double A                   # of their absolute values
    double Q                   # of their squares
    Py_ssize_t m               # how many are not zero

cdef struct Block:             # the same of each element
    double y[BLOCK]
    double A[BLOCK]
    double Q[BLOCK]
    double m[BLOCK]

cdef struct Row:               # what the elements of a row of the result have in common
    Py_ssize_t channel
    Py_ssize_t count           # of runs along the last axis that are summed over, each of
    Py_ssize_t* x              # so many numbers of x, which begin here,
    Py_ssize_t* w              # and of w

cdef struct Figures:
    double total               # of z = error / usual error
    double squares
    double top


cdef class Nest:
    """Where the factors of every term are.

    Parameters
    ----------
    tables : sequence of three ndarray of int64, shape (o, t)
        Along each spatial axis, the place in x of summed index t for index o of the result, or -1.
    result, x, w : tuple of five ints
        Shapes.
    x_steps, w_steps : tuple of four ints
        What one more of the result's first index, its second, the group, and the summed leading index adds to the place
        in the leading axes.
    leading : int
        How many leading indices are summed over.
    channel_axis : {0, 1}
        The axis of the result that output channels are along.
    per_group : int
        How many of them a group has.
    """
    cdef const int64_t[:, ::1] d, h, w
    cdef Py_ssize_t result[5]
    cdef Py_ssize_t x_sizes[5]
    cdef Py_ssize_t w_sizes[5]
    cdef Py_ssize_t x_steps[4]
    cdef Py_ssize_t w_steps[4]
    cdef Py_ssize_t x_volume, w_volume
    cdef Py_ssize_t leading, channel_axis, per_group

    def __init__(self, tables, result, x, w, x_steps, w_steps, leading, channel_axis, per_group):
        self.d, self.h, self.w = tables
        self.result, self.x_sizes, self.w_sizes = result, x, w
        self.x_steps, self.w_steps = x_steps, w_steps
        self.x_volume, self.w_volume = math.prod(x[2:]), math.prod(w[2:])
        self.leading, self.channel_axis, self.per_group = leading, channel_axis, per_group

    def look_up(self, x, w, bias, actual, reference, elements, dict rule):
        """Compare some elements of a result with their terms.

        Parameters
        ----------
        x, w : ndarray of float32 or float64, shape (size,)
            The operands, both of one dtype.
        bias : ndarray of the same dtype, shape (channels,), or None
        actual : ndarray of float64, shape (count,)
            The elements.
        reference : ndarray of float64, shape (count,), or None
            What they should be; by default the sums as they are found here.
        elements : ndarray of int64, shape (count,)
            Where they are in the result, in ascending order.
        rule : dict
            The members of `Rule`.

        Returns
        -------
        (float, float, float) or None
            The sum, the sum of squares, and the largest absolute value of z; None if an error may be larger than what
            is allowed, or is not a number, or a sum is out of range.
        """
        cdef Rule r = rule
        if x.itemsize == 4:
            return compare[float](self, x, w, bias, actual, reference, elements, &r)
        return compare[double](self, x, w, bias, actual, reference, elements, &r)


cdef compare(Nest nest, const number[::1] x, const number[::1] w, const number[::1] bias, const double[::1] actual,
             const double[::1] reference, const int64_t[::1] elements, const Rule* rule):
    """As `Nest.look_up`."""
    cdef Figures figures = Figures(0, 0, 0)
    cdef Sums sums
    cdef Block block
    cdef Row row
    cdef Py_ssize_t[5] at = [0, 0, 0, 0, 0]
    cdef Py_ssize_t i, count, begin = 0, before = 0
    cdef const number* first_x = first_of(x)
    cdef const number* first_w = first_of(w)
    cdef const number* first_bias = first_of(bias)
    cdef fenv_t callers
    cdef bint good = True
    row.x = <Py_ssize_t*>PyMem_Malloc(2 * nest.d.shape[1] * nest.h.shape[1] * sizeof(Py_ssize_t))
    if row.x == NULL:
        raise MemoryError
    row.w = row.x + nest.d.shape[1] * nest.h.shape[1]
    with nogil:
        fegetenv(&callers)
        fesetenv(FE_DFL_ENV)
        find_row(nest, at, &row)
        while good and begin < elements.shape[0]:
            count = min(BLOCK, elements.shape[0] - begin)
            for i in range(count):
                if advance(nest, at, elements[begin + i] - before):
                    find_row(nest, at, &row)
                before = elements[begin + i]
                sums = sum_terms(nest, first_x, first_w, first_bias, &row, &nest.w[at[4], 0])
                block.y[i], block.A[i], block.Q[i], block.m[i] = sums.y, sums.A, sums.Q, sums.m
            good = settle(&block, &actual[begin], &block.y[0] if reference is None else &reference[begin], count, rule,
                          &figures)
            begin += count
        fesetenv(&callers)
    PyMem_Free(row.x)
    return (figures.total, figures.squares, figures.top) if good else None


cdef inline bint advance(Nest nest, Py_ssize_t* at, Py_ssize_t count) noexcept nogil:
    """Go on by so many elements of the result, and return whether to another row. Few steps need a division."""
    cdef Py_ssize_t carried
    cdef int axis = 4
    at[4] += count
    while axis > 0 and at[axis] >= nest.result[axis]:
        carried = at[axis] // nest.result[axis]
        at[axis] -= carried * nest.result[axis]
        at[axis - 1] += carried
        axis -= 1
    return axis < 4


cdef inline const number* first_of(const number[::1] numbers) noexcept nogil:
    """Where they begin; NULL if there are none."""
    return NULL if numbers is None or numbers.shape[0] == 0 else &numbers[0]


cdef inline void find_row(Nest nest, const Py_ssize_t* at, Row* row) noexcept nogil:
    """The row of an index of the result: where the runs are whose terms its elements have."""
    cdef Py_ssize_t channel = at[nest.channel_axis]
    cdef Py_ssize_t group = channel // nest.per_group if channel >= nest.per_group else 0
    cdef Py_ssize_t x = (at[0] * nest.x_steps[0] + at[1] * nest.x_steps[1] + group * nest.x_steps[2]) * nest.x_volume
    cdef Py_ssize_t w = (at[0] * nest.w_steps[0] + at[1] * nest.w_steps[1] + group * nest.w_steps[2]) * nest.w_volume
    cdef const int64_t* d_places = &nest.d[at[2], 0]
    cdef const int64_t* h_places = &nest.h[at[3], 0]
    cdef Py_ssize_t d, h
    row.channel = channel
    row.count = 0
    for d in range(nest.d.shape[1]):
        for h in range(nest.h.shape[1]):
            if d_places[d] >= 0 and h_places[h] >= 0:
                row.x[row.count] = x + (d_places[d] * nest.x_sizes[3] + h_places[h]) * nest.x_sizes[4]
                row.w[row.count] = w + (d * nest.w_sizes[3] + h) * nest.w_sizes[4]
                row.count += 1


cdef inline Sums sum_terms(Nest nest, const number* x, const number* w, const number* bias, const Row* row,
                           const int64_t* places) noexcept nogil:
    """The nest of an element: taps or windows, with channels or batch items outside of the last axis only."""
    cdef const number* some_x
    cdef const number* some_w
    cdef Py_ssize_t _c, i, k, width = nest.w.shape[1], leading = nest.leading
    cdef Py_ssize_t x_step = nest.x_steps[3] * nest.x_volume, w_step = nest.w_steps[3] * nest.w_volume
    cdef Sums sums = Sums(0, 0, 0, 0)
    if bias != NULL:
        add(&sums, bias[row.channel])
    for i in range(row.count):
        some_x = x + row.x[i]
        some_w = w + row.w[i]
        for k in range(width):
            if places[k] >= 0:
                for _c in range(leading):
                    add(&sums, <double>some_x[places[k] + _c * x_step] * some_w[k + _c * w_step])
    return sums


cdef inline void add(Sums* sums, double term) noexcept nogil:
    sums.y += term
    sums.A += fabs(term)
    sums.Q += term * term
    sums.m += term != 0


cdef inline bint settle(const Block* block, const double* actual, const double* reference, Py_ssize_t count,
                        const Rule* rule, Figures* figures) noexcept nogil:
    """Add the z of a block to the figures, if all errors are allowed for certain."""
    cdef double[BLOCK] z
    cdef double y, A, m, usual, largest = min(LARGEST_A, rule.largest)
    cdef double total = figures.total, squares = figures.squares, top = figures.top
    cdef Py_ssize_t i
    cdef bint good = True
    for i in range(count):     # in vectors
        y, m = reference[i], block.m[i]
        usual = (rule.square_of_m * m + rule.square) * (y * y) + (rule.flat * m + rule.flat_by_m) * block.Q[i]
        z[i] = (actual[i] - y) / sqrt(usual)
    for i in range(count):
        y, A, m = reference[i], block.A[i], block.m[i]
        good &= (LEAST_A <= A) & (A < largest)
        good &= fabs(actual[i] - y) <= rule.of_m * m * A + rule.of_y * fabs(y) + rule.least
        total += z[i]
        squares += z[i] * z[i]
        top = max(top, fabs(z[i]))
    figures.total, figures.squares, figures.top = total, squares, top
    return good
