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

#else

static int has_modular_tiles(void)
{
    return 0;
}

static void modular_tile(
    const int64_t *w, const int64_t *x, const ptrdiff_t *taps, ptrdiff_t n_taps, const ptrdiff_t *positions, int add,
    int64_t *sums)
{
    (void)w, (void)x, (void)taps, (void)n_taps, (void)positions, (void)add, (void)sums;
}

#endif
