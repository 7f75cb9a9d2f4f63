/* Sums of products modulo 2^52, eight at a time: the instructions that AVX-512 IFMA adds to x86-64-v4.
 *
 * Not every processor of that level has them, so they are enabled for this one function, and a caller asks first. */
#include "vector.h"

#if defined(__AVX512F__) && defined(__GNUC__)

static int has_modular_tiles(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512ifma") != 0;
}

/* sums[p][c] = sum over t of w[t][c] * x[positions[p] + taps[t]] modulo 2^52, for PIXELS positions; bits above the lowest 52
 * mean nothing. With `add`, the sums that are there are added. */
__attribute__((target("avx512ifma"))) static void modular_tile(
    const int64_t *w, const int64_t *x, const ptrdiff_t *taps, ptrdiff_t n_taps, const ptrdiff_t *positions, int add,
    int64_t *sums)
{
    __m512i total[PIXELS];
    const int64_t *first[PIXELS];
    ptrdiff_t t;
    int p;
    for (p = 0; p < PIXELS; p++) {
        first[p] = x + positions[p];
        total[p] = add ? _mm512_loadu_si512(sums + CHANNELS * p) : _mm512_setzero_si512();
    }
    for (t = 0; t < n_taps; t++) {
        const __m512i weights = _mm512_loadu_si512(w + CHANNELS * t);
        for (p = 0; p < PIXELS; p++)
            total[p] = _mm512_madd52lo_epu64(total[p], weights, _mm512_set1_epi64(first[p][taps[t]]));
    }
    for (p = 0; p < PIXELS; p++)
        _mm512_storeu_si512(sums + CHANNELS * p, total[p]);
}

static inline void vector_two_sum(vector a, vector b, vector *total, vector *error)
{
    const vector s = a + b, b_part = s - a;
    *error = (a - (s - b_part)) + (b - b_part);
    *total = s;
}

/* Whether the float32 nearest to first + second + third + bias is known, in all of 8 channels, when that sum errs by at most
 * `errors`: prove_strip and accept_pair, in registers. Then it is in `rounded`. */
static inline int join_proved(
    const double *first, const double *second, const double *third, const vector *biases, const double *errors,
    float *rounded)
{
    vector high, low, rest, wider;
    vector_two_sum(vector_load(first), biases[0], &high, &rest);
    vector_two_sum(high, vector_load(second), &high, &low);
    vector_two_sum(high, low + rest + vector_load(third), &high, &low);
    wider = 1.0625 * (_mm512_abs_pd(low) + vector_load(errors)) + 0x1p-51 * _mm512_abs_pd(high);
    return vector_test_float32(high, wider, rounded) == 0;
}

#else

static int has_modular_tiles(void)
{
    return 0;
}

static inline int join_proved(
    const double *first, const double *second, const double *third, const vector *biases, const double *errors,
    float *rounded)
{
    (void)first, (void)second, (void)third, (void)biases, (void)errors, (void)rounded;
    return 0;
}

static void modular_tile(
    const int64_t *w, const int64_t *x, const ptrdiff_t *taps, ptrdiff_t n_taps, const ptrdiff_t *positions, int add,
    int64_t *sums)
{
    (void)w, (void)x, (void)taps, (void)n_taps, (void)positions, (void)add, (void)sums;
}

#endif
