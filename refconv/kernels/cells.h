/* The registers that the fast integer kernel computes in: one name for each instruction set it is compiled for.
 *
 * A cell is what one tap contributes, in one of three forms:
 *
 *     quads   32 bits: four bytes, of four neighbouring input channels; without a sign in the input, with one in weights.
 *             Sums of products are modulo 2^32. AVX-512 VNNI has one instruction for a term.
 *     pairs   32 bits: two int16 numbers, of two neighbouring input channels. Their sums of products are int32, and the
 *             caller has proved that none overflows.
 *     words   64 bits: one number, modulo 2^64, and so are the sums; no proof is needed for that. If all numbers are in
 *             the range of int32 (narrow_words), processors have a faster multiplication.
 *
 * Compilers keep a tile of sums in registers only if they are declared as vectors. The types are declared for unaligned
 * memory, so that a pointer to one can be read anywhere.
 */
#include <stdint.h>

#include "vector.h"

#if defined(__AVX512BW__) && defined(__AVX512DQ__)
#include <immintrin.h>
enum { REGISTER = 64, PAIR_PIXELS = 8, WORD_PIXELS = 8 };
#elif defined(__AVX2__)
#include <immintrin.h>
enum { REGISTER = 32, PAIR_PIXELS = 6, WORD_PIXELS = 3 };
#elif defined(__SSE2__) && defined(__GNUC__)
#include <emmintrin.h>
enum { REGISTER = 16, PAIR_PIXELS = 3, WORD_PIXELS = 1 };
#elif defined(__GNUC__)
enum { REGISTER = 16, PAIR_PIXELS = 3, WORD_PIXELS = 1 };
#endif

#if defined(__GNUC__)
typedef int32_t pairs __attribute__((vector_size(REGISTER), aligned(4), may_alias));
typedef uint64_t words __attribute__((vector_size(REGISTER), aligned(8), may_alias));
typedef pairs quads;
typedef words narrow_words;
enum { PAIR_LANES = REGISTER / 4, WORD_LANES = REGISTER / 8 };
#else
typedef int32_t pairs, quads;
typedef uint64_t words, narrow_words;
enum { PAIR_LANES = 1, WORD_LANES = 1, PAIR_PIXELS = 1, WORD_PIXELS = 1 };
#endif

/* Output channels of a tile, side by side. */
enum { CELL_CHANNELS = 16, PAIR_VECTORS = CELL_CHANNELS / PAIR_LANES, WORD_VECTORS = CELL_CHANNELS / WORD_LANES };

/* All lanes alike. */
static inline pairs pairs_set(int32_t cell)
{
    return cell - (pairs){0};
}

static inline words words_set(int64_t cell)
{
    return (uint64_t)cell - (words){0};
}

static inline pairs pairs_add(pairs a, pairs b)
{
    return a + b;
}

static inline words words_add(words a, words b)
{
    return a + b;
}

/* Whether the processor has the instruction for quads. Not every one of level x86-64-v4 has. */
static inline int has_fast_quads(void)
{
#if defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__GNUC__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512vnni") != 0;
#else
    return 0;
#endif
}

/* sums + the products of the four bytes of a, which are not negative, and those of b, which have a sign. */
static inline quads quads_multiply_add(quads a, quads b, quads sums)
{
#if defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__GNUC__)
    /* As an intrinsic it would have to be enabled for whole functions, none of which could be inlined into others. */
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
    return sums;
#else
    /* Shifting left and right again extends the sign of a byte. */
    return sums + (a & 255) * ((b << 24) >> 24) + ((a >> 8) & 255) * ((b << 16) >> 24) + ((a >> 16) & 255) * ((b << 8) >> 24)
        + ((a >> 24) & 255) * (b >> 24);
#endif
}

/* sums + the products of the lower and of the upper halves. */
static inline pairs pairs_multiply_add(pairs a, pairs b, pairs sums)
{
#if defined(__AVX512BW__) && defined(__AVX512DQ__)
    return (pairs)_mm512_add_epi32((__m512i)sums, _mm512_madd_epi16((__m512i)a, (__m512i)b));
#elif defined(__AVX2__)
    return (pairs)_mm256_add_epi32((__m256i)sums, _mm256_madd_epi16((__m256i)a, (__m256i)b));
#elif defined(__SSE2__) && defined(__GNUC__)
    return (pairs)_mm_add_epi32((__m128i)sums, _mm_madd_epi16((__m128i)a, (__m128i)b));
#else
    /* Shifting left and right again extends the sign of the lower half; an upper half is shifted down with its own. */
    return sums + ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16);
#endif
}

static inline words words_multiply_add(words a, words b, words sums)
{
    return sums + a * b;
}

static inline narrow_words narrow_words_multiply_add(narrow_words a, narrow_words b, narrow_words sums)
{
#if defined(__AVX512BW__) && defined(__AVX512DQ__)
    return sums + (words)_mm512_mul_epi32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return sums + (words)_mm256_mul_epi32((__m256i)a, (__m256i)b);
#else
    return words_multiply_add(a, b, sums);
#endif
}

/* cells[i] = the four bytes rows[0][i], ..., rows[3][i], of which some bits are kept and some flipped, for i below 8. */
static inline void gather_quads(const uint8_t *const *rows, uint32_t keep, uint32_t flip, int32_t *cells)
{
#if defined(__SSE2__) && defined(__GNUC__)
    const __m128i kept = _mm_set1_epi32((int)keep), flipped = _mm_set1_epi32((int)flip);
    __m128i row[4], lower, upper;
    int j;
    for (j = 0; j < 4; j++)
        row[j] = _mm_loadl_epi64((const __m128i *)rows[j]);
    lower = _mm_unpacklo_epi8(row[0], row[1]);
    upper = _mm_unpacklo_epi8(row[2], row[3]);
    for (j = 0; j < 2; j++) {
        const __m128i four = j == 0 ? _mm_unpacklo_epi16(lower, upper) : _mm_unpackhi_epi16(lower, upper);
        _mm_storeu_si128((__m128i *)(cells + 4 * j), _mm_xor_si128(_mm_and_si128(four, kept), flipped));
    }
#else
    int i;
    for (i = 0; i < 8; i++) {
        const uint32_t total
            = rows[0][i] | (uint32_t)rows[1][i] << 8 | (uint32_t)rows[2][i] << 16 | (uint32_t)rows[3][i] << 24;
        cells[i] = (int32_t)((total & keep) ^ flip);
    }
#endif
}

/* target[j * target_step + i] = source[i * source_step + j] for i and j below 8. */
static inline void transpose_pairs(const int32_t *source, ptrdiff_t source_step, int32_t *target, ptrdiff_t target_step)
{
    int i, j;
#if defined(__AVX2__)
    __m256 a[8];
    for (i = 0; i < 8; i++)
        a[i] = _mm256_loadu_ps((const float *)(source + i * source_step));
    transpose(a);
    for (j = 0; j < 8; j++)
        _mm256_storeu_ps((float *)(target + j * target_step), a[j]);
#else
    for (j = 0; j < 8; j++)
        for (i = 0; i < 8; i++)
            target[j * target_step + i] = source[i * source_step + j];
#endif
}

static inline void transpose_words(const int64_t *source, ptrdiff_t source_step, int64_t *target, ptrdiff_t target_step)
{
    int i, j;
    for (j = 0; j < 8; j++)
        for (i = 0; i < 8; i++)
            target[j * target_step + i] = source[i * source_step + j];
}
