/* The registers that the fast integer kernel computes in: one name for each instruction set it is compiled for.
 *
 * A cell is what one tap contributes, in one of two forms:
 *
 *     pairs   32 bits: two int16 numbers, of two neighbouring input channels. Their sums of products are int32, and the
 *             caller has proved that none overflows.
 *     words   64 bits: one number, modulo 2^64, and so are the sums; no proof is needed for that. If all numbers are in
 *             the range of int32 (narrow_words), processors have a faster multiplication.
 *
 * Compilers keep a tile of sums in registers only if they are declared as vectors. The types are declared for unaligned
 * memory, so that a pointer to one can be read anywhere.
 */
#include <stdint.h>

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
typedef words narrow_words;
enum { PAIR_LANES = REGISTER / 4, WORD_LANES = REGISTER / 8 };
#else
typedef int32_t pairs;
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
