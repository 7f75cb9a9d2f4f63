# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The first look at somebody's result, for refconv.testing: which elements differ, and whether all errors are ordinary.

Two passes over a result that cost less than the convolution it is of. What they compute, and why it proves what it
does, is in `refconv.testing.screening`; here are the loops. They are written so that a compiler turns them into vector
instructions: no branch depends on an element, and sums are kept in lanes of their own.
"""
from libc.math cimport INFINITY, fabs, fabsf, frexp, ldexp, sqrt, sqrtf
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from refconv.kernels.fpenv cimport FE_DFL_ENV, fegetenv, fenv_t, fesetenv
from refconv.kernels.rule cimport Rule

cdef extern from "screening.h" nogil:
    Py_ssize_t places_of_differing(
        const uint32_t* a, const uint32_t* b, Py_ssize_t first, Py_ssize_t count, int64_t* places)

ctypedef fused encoding:
    uint16_t
    uint32_t
    uint64_t

ctypedef fused number:
    float
    double

cdef enum:
    BLOCK = 256                # elements at a time
    LANES = 64                 # sums of z side by side: so many that no addition waits for the one before

cdef extern from *:
    """
    #define SMALLEST 1e-16f /* its square is a normal number of both formats, and so is a 64th of that */
    """
    const float SMALLEST

cdef struct Figures:
    double totals[LANES]       # of z = error / usual error
    double squares[LANES]
    double tops[LANES]         # the largest absolute values of those within the limit
    Py_ssize_t outstanding     # how many are not


def differing(const encoding[::1] a, const encoding[::1] b, int64_t[::1] found):
    """Write the indices at which two arrays differ, zeros of either sign being equal.

    Parameters
    ----------
    a, b : ndarray of unsigned int, shape (size,)
        The encodings of floating-point numbers.
    found : ndarray of int64, shape (most,)
        Is filled from the beginning.

    Returns
    -------
    int
        How many there are, or `most` + 1 if there are more than fit.
    """
    cdef int64_t[BLOCK + 8] places
    cdef Py_ssize_t i, begin, end = 0, count = 0, here
    with nogil:
        while end < a.shape[0]:
            begin, end = end, min(end + BLOCK, a.shape[0])
            here = 0
            for i in range(begin, end):
                here += differ(a[i], b[i])
            if count + here > found.shape[0]:
                count = found.shape[0] + 1
                break
            if here:
                if encoding is uint32_t:
                    here = places_of_differing(&a[begin], &b[begin], begin, end - begin, places)
                else:
                    here = 0
                    for i in range(begin, end):      # as there
                        places[here] = i
                        here += differ(a[i], b[i])
                memcpy(&found[count], places, here * sizeof(int64_t))
                count += here
    return count


cdef inline bint differ(encoding a, encoding b) noexcept nogil:
    return (a != b) & (<encoding>((a | b) << 1) != 0)


def has_zero(const encoding[::1] a):
    """Whether a number of an array is zero, of either sign."""
    cdef Py_ssize_t i, begin, end = 0
    cdef bint found = False
    with nogil:
        while end < a.shape[0] and not found:
            begin, end = end, min(end + BLOCK, a.shape[0])
            for i in range(begin, end):
                found |= <encoding>(a[i] << 1) == 0
    return bool(found)


def screen(const number[::1] actual, const number[::1] reference, const number[::1] A, const number[::1] m,
           const number[::1] one_by_m, dict rule, double limit, Py_ssize_t first, Py_ssize_t last,
           int64_t[::1] outstanding):
    """Look at the errors of the elements first ... last - 1.

    Parameters
    ----------
    actual, reference, A : ndarray, shape (size,)
        The result, the exact sums as far as they are known, and the sums of the terms' absolute values.
    m, one_by_m : ndarray, shape (period,)
        How many terms the elements have, one period after the other; and 1 / max(m, 1).
    rule : dict
        The members of `Rule`.
    limit : float
        Of z.
    first, last : int
    outstanding : ndarray of int64, shape (most,)
        Is filled with the indices of elements that have to be looked at by themselves: z is larger than the limit, or
        the error may be larger than what is allowed, or is not a number, or is one beside an A too small to be squared.

    Returns
    -------
    (float, float, float, int) or None
        The sum, the sum of squares and the largest absolute value of z, and how many elements are outstanding. None if
        these are too many, or if an A is out of range.
    """
    cdef Rule r = rule
    cdef Figures figures
    cdef number z[BLOCK]
    cdef Py_ssize_t begin = first, count, place
    cdef double total = 0, squares = 0, top, scale
    cdef int j, exponent
    cdef fenv_t callers
    cdef bint good = True
    with nogil:
        memset(&figures, 0, sizeof(Figures))
        fegetenv(&callers)
        fesetenv(FE_DFL_ENV)
        top = largest(&A[first], last - first)
        frexp(top, &exponent)
        scale = ldexp(1, min(-exponent, r.largest_scale))
        good = top < r.largest
        top = 0
        while good and begin < last:
            place = begin % m.shape[0]
            count = min(BLOCK, last - begin, m.shape[0] - place)
            compare(&actual[begin], &reference[begin], &A[begin], &m[place], &one_by_m[place], count, scale, &r, z)
            good = add(z, count, begin, limit, outstanding, &figures)
            begin += count
        for j in range(LANES):
            total += figures.totals[j]
            squares += figures.squares[j]
            top = max(top, figures.tops[j])
        fesetenv(&callers)
    return (total, squares, top, figures.outstanding) if good else None


cdef inline double largest(const number* A, Py_ssize_t count) noexcept nogil:
    """The largest of some numbers that are not negative. NaN does not count: where A is NaN, the exact sum is too."""
    cdef number tops[LANES]
    cdef number top = 0
    cdef Py_ssize_t i, j
    for j in range(LANES):
        tops[j] = 0
    for i in range(count // LANES):
        for j in range(LANES):
            tops[j] = A[i * LANES + j] if A[i * LANES + j] > tops[j] else tops[j]
    for i in range(count // LANES * LANES, count):
        top = A[i] if A[i] > top else top
    for j in range(LANES):
        top = max(top, tops[j])
    return top


cdef inline void compare(const number* actual, const number* reference, const number* A, const number* m,
                         const number* one_by_m, Py_ssize_t count, number scale, const Rule* rule,
                         number* z) noexcept nogil:
    """Compute z of some elements; infinity where an error is not allowed for certain, or A is too small to be squared.

    All is multiplied by the scale, which brings every A to at most 1, so that no square overflows.
    """
    cdef number of_m = <number>rule.of_m, of_y = <number>rule.of_y
    cdef number least = <number>(rule.least * scale), square_of_m = <number>rule.square_of_m
    cdef number square = <number>rule.square, flat = <number>rule.flat, flat_by_m = <number>rule.flat_by_m
    cdef number error, y, a, usual
    cdef Py_ssize_t i
    cdef bint good
    for i in range(count):
        # The usual error has A**2 / m for Q.
        error = (actual[i] - reference[i]) * scale
        y = absolute(reference[i]) * scale
        a = A[i] * scale
        good = (actual[i] == reference[i]) \
            | ((absolute(error) <= of_m * m[i] * a + of_y * y + least) & (a >= SMALLEST))
        usual = (square_of_m * m[i] + square) * (y * y) + (flat + flat_by_m * one_by_m[i]) * (a * a)
        error = error / root(usual if usual > SMALLEST * SMALLEST / 64 else <number>1)
        z[i] = error if good else <number>INFINITY


cdef inline bint add(number* z, Py_ssize_t count, Py_ssize_t begin, double limit, int64_t[::1] outstanding,
                     Figures* figures) noexcept nogil:
    """Add some z to the figures, except those that are outstanding; not if these are too many."""
    cdef Py_ssize_t i, rows = (count + LANES - 1) // LANES
    cdef number size, most = <number>limit
    for i in range(count, rows * LANES):
        z[i] = 0
    if add_rows(z, rows, most, figures):
        return True
    for i in range(count):
        size = absolute(z[i])
        if not size <= most:
            if figures.outstanding == outstanding.shape[0]:
                return False
            outstanding[figures.outstanding] = begin + i
            figures.outstanding += 1
            z[i] = 0
    return add_rows(z, rows, most, figures)


cdef inline bint add_rows(const number* z, Py_ssize_t rows, number limit, Figures* figures) noexcept nogil:
    """Add so many rows of z to the figures, if all are within the limit."""
    cdef number totals[LANES]
    cdef number squares[LANES]
    cdef number tops[LANES]
    cdef number value, size
    cdef Py_ssize_t i, j
    cdef int beyond = 0
    for j in range(LANES):
        totals[j] = squares[j] = tops[j] = 0
    for i in range(rows):
        for j in range(LANES):
            value = z[i * LANES + j]
            size = absolute(value)
            totals[j] += value
            squares[j] += value * value
            tops[j] = size if size > tops[j] else tops[j]
    for j in range(LANES):
        beyond |= tops[j] > limit
    if beyond:
        return False
    for j in range(LANES):
        figures.totals[j] += totals[j]
        figures.squares[j] += squares[j]
        figures.tops[j] = tops[j] if tops[j] > figures.tops[j] else figures.tops[j]
    return True


cdef inline number absolute(number x) noexcept nogil:
    return fabsf(x) if number is float else fabs(x)


cdef inline number root(number x) noexcept nogil:
    return sqrtf(x) if number is float else sqrt(x)
