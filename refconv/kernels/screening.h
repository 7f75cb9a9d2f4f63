/* Which elements differ: the loop of screening.pyx that compilers do not turn into vector instructions. */
#ifndef REFCONV_SCREENING_H
#define REFCONV_SCREENING_H

#include <stddef.h>
#include <stdint.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

/* Write first + i for every i < count at which two float32 differ, zeros of either sign being equal; return how many. There
 * has to be room for 8 more than `count`. */
static inline ptrdiff_t places_of_differing(
    const uint32_t *a, const uint32_t *b, ptrdiff_t first, ptrdiff_t count, int64_t *places)
{
    ptrdiff_t i = 0, here = 0;
#if defined(__AVX512F__)
    const __m512i steps = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
    for (; i + 8 <= count; i += 8) {
        const __m256i x = _mm256_loadu_si256((const void *)(a + i)), y = _mm256_loadu_si256((const void *)(b + i));
        const __m256i not_zeros = _mm256_slli_epi32(_mm256_or_si256(x, y), 1);
        const __mmask8 differ = _mm256_cmpneq_epi32_mask(x, y) & _mm256_test_epi32_mask(not_zeros, not_zeros);
        const __m512i indices = _mm512_add_epi64(_mm512_set1_epi64(first + i), steps);
        _mm512_storeu_si512(places + here, _mm512_maskz_compress_epi64(differ, indices));
        here += __builtin_popcount(differ);
    }
#endif
    /* Every index is written down, and written over unless it counts: a branch would often be mispredicted. */
    for (; i < count; i++) {
        places[here] = first + i;
        here += (a[i] != b[i]) & ((uint32_t)((a[i] | b[i]) << 1) != 0);
    }
    return here;
}

#endif
