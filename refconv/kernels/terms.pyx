# cython: language_level=3, wraparound=False, cdivision=True
"""Some elements of somebody's result, looked up term by term: for refconv.testing, where a whole pass would cost more.

The loops are those of the definition, over tables in place of geometry, so that they serve every member of the family:
`refconv.testing.terms` has the tables. Sums are kept in float64, which is exact enough to judge an error by; what that
proves is in `refconv.testing.screening`.
"""
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

cdef struct Sums:
    double y                   # of the terms
    double A                   # of their absolute values
    double Q                   # of their squares
    double m                   # how many are not zero

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
    cdef Py_ssize_t leading, channel_axis, per_group

    def __init__(self, tables, result, x, w, x_steps, w_steps, leading, channel_axis, per_group):
        self.d, self.h, self.w = tables
        self.result, self.x_sizes, self.w_sizes = result, x, w
        self.x_steps, self.w_steps = x_steps, w_steps
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
    cdef Py_ssize_t[5] at = [0, 0, 0, 0, 0]
    cdef Py_ssize_t i, before = 0
    cdef const number* first_x = first_of(x)
    cdef const number* first_w = first_of(w)
    cdef const number* first_bias = first_of(bias)
    cdef fenv_t callers
    cdef bint good = True
    with nogil:
        fegetenv(&callers)
        fesetenv(FE_DFL_ENV)
        for i in range(elements.shape[0]):
            advance(nest, at, elements[i] - before)
            before = elements[i]
            sums = sum_terms(nest, first_x, first_w, first_bias, at)
            good = settle(&sums, actual[i], sums.y if reference is None else reference[i], rule, &figures)
            if not good:
                break
        fesetenv(&callers)
    return (figures.total, figures.squares, figures.top) if good else None


cdef inline void advance(Nest nest, Py_ssize_t* at, Py_ssize_t count) noexcept nogil:
    """Go on by so many elements of the result. Few of these steps need a division."""
    cdef Py_ssize_t carried
    cdef int axis = 4
    at[4] += count
    while axis > 0 and at[axis] >= nest.result[axis]:
        carried = at[axis] // nest.result[axis]
        at[axis] -= carried * nest.result[axis]
        at[axis - 1] += carried
        axis -= 1


cdef inline const number* first_of(const number[::1] numbers) noexcept nogil:
    """Where they begin; NULL if there are none."""
    return NULL if numbers is None or numbers.shape[0] == 0 else &numbers[0]


cdef inline Sums sum_terms(Nest nest, const number* x, const number* w, const number* bias,
                           const Py_ssize_t* at) noexcept nogil:
    """The nest: channels or batch items, then taps or windows."""
    cdef Py_ssize_t channel, group, x0, w0, x1, w1, x2, w2, c, d, h, k
    cdef Py_ssize_t depth = nest.d.shape[1], height = nest.h.shape[1], width = nest.w.shape[1]
    cdef const int64_t* d_places
    cdef const int64_t* h_places
    cdef const int64_t* w_places
    cdef double term, y = 0, A = 0, Q = 0, m = 0
    channel = at[nest.channel_axis]
    group = channel // nest.per_group if channel >= nest.per_group else 0
    x0 = at[0] * nest.x_steps[0] + at[1] * nest.x_steps[1] + group * nest.x_steps[2]
    w0 = at[0] * nest.w_steps[0] + at[1] * nest.w_steps[1] + group * nest.w_steps[2]
    d_places, h_places, w_places = &nest.d[at[2], 0], &nest.h[at[3], 0], &nest.w[at[4], 0]
    if bias != NULL:
        y = bias[channel]
        A, Q, m = fabs(y), y * y, y != 0
    for c in range(nest.leading):
        for d in range(depth):
            if d_places[d] < 0:
                continue
            x1 = ((x0 + c * nest.x_steps[3]) * nest.x_sizes[2] + d_places[d]) * nest.x_sizes[3]
            w1 = ((w0 + c * nest.w_steps[3]) * nest.w_sizes[2] + d) * nest.w_sizes[3]
            for h in range(height):
                if h_places[h] < 0:
                    continue
                x2 = (x1 + h_places[h]) * nest.x_sizes[4]
                w2 = (w1 + h) * nest.w_sizes[4]
                for k in range(width):
                    if w_places[k] < 0:
                        continue
                    term = <double>x[x2 + w_places[k]] * w[w2 + k]
                    y += term
                    A += fabs(term)
                    Q += term * term
                    m += term != 0
    return Sums(y, A, Q, m)


cdef inline bint settle(const Sums* sums, double actual, double y, const Rule* rule, Figures* figures) noexcept nogil:
    """Add the z of an element to the figures, if its error is allowed for certain."""
    cdef double error = actual - y
    cdef double usual, z
    if not (LEAST_A <= sums.A < min(LARGEST_A, rule.largest)) or \
            not fabs(error) <= rule.of_m * sums.m * sums.A + rule.of_y * fabs(y) + rule.least:
        return False
    usual = (rule.square_of_m * sums.m + rule.square) * (y * y) + (rule.flat * sums.m + rule.flat_by_m) * sums.Q
    z = error / sqrt(usual)
    figures.total += z
    figures.squares += z * z
    figures.top = max(figures.top, fabs(z))
    return True
