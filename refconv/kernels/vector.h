/* The registers that the fast kernel computes in: one name for each instruction set it is compiled for.
 *
 * A compiler keeps a tile of sums in registers only if they are declared as vectors; arrays of double are spilled.
 * `vector_fma` rounds once where the processor has a fused multiply-add, and twice elsewhere: the bounds in filter.pxd
 * allow for both, so the bits of the result do not depend on it.
 */
#ifndef REFCONV_VECTOR_H
#define REFCONV_VECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __FAST_MATH__
#error "refconv cannot be compiled with -ffast-math: its proofs are about IEEE arithmetic"
#endif
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0
#error "refconv needs arithmetic that rounds to the type of the operands (no x87)"
#endif

#if defined(_MSC_VER)
#define restrict __restrict
#endif

#if defined(__AVX512F__)
#include <immintrin.h>
enum { LANES = 8, PIXELS = 8 }; /* more positions would need more address registers than there are */
typedef __m512d vector;
#define vector_set(x) _mm512_set1_pd(x)
#define vector_load(p) _mm512_loadu_pd(p)
#define vector_store(p, v) _mm512_storeu_pd(p, v)
#define vector_add(a, b) _mm512_add_pd(a, b)
#define vector_fma(a, b, c) _mm512_fmadd_pd(a, b, c)
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
enum { LANES = 4, PIXELS = 6 };
typedef __m256d vector;
#define vector_set(x) _mm256_set1_pd(x)
#define vector_load(p) _mm256_loadu_pd(p)
#define vector_store(p, v) _mm256_storeu_pd(p, v)
#define vector_add(a, b) _mm256_add_pd(a, b)
#define vector_fma(a, b, c) _mm256_fmadd_pd(a, b, c)
#elif defined(__GNUC__)
enum { LANES = 2, PIXELS = 3 };
typedef double vector __attribute__((vector_size(16)));
typedef double unaligned_vector __attribute__((vector_size(16), aligned(8), may_alias));
#define vector_set(x) ((vector){(x), (x)})
#define vector_load(p) ((vector)(*(const unaligned_vector *)(p)))
#define vector_store(p, v) (*(unaligned_vector *)(p) = (v))
#define vector_add(a, b) ((a) + (b))
#define vector_fma(a, b, c) ((a) * (b) + (c))
#else
enum { LANES = 1, PIXELS = 1 };
typedef double vector;
#define vector_set(x) (x)
#define vector_load(p) (*(p))
#define vector_store(p, v) (*(p) = (v))
#define vector_add(a, b) ((a) + (b))
#define vector_fma(a, b, c) ((a) * (b) + (c))
#endif

/* Output channels of a tile: 8 sums side by side, in VECTORS registers. */
enum { CHANNELS = 8, VECTORS = CHANNELS / LANES };

/* Positions that are summed and then proved, CHANNELS at a time: a multiple of CHANNELS and of PIXELS. With whole tiles of
 * CHANNELS positions the sums stay in registers. */
enum { SUMMED = (int)PIXELS == (int)CHANNELS ? (int)CHANNELS : 24 };

/* The rounding test of filter.pxd for float32: rounds s - e to `rounded`, and sets bit j of the result where s + e rounds
 * to another number (or another zero), or where e is an infinity or a NaN. */
static inline int vector_test_float32(vector s, vector e, float *rounded)
{
#if defined(__AVX512F__)
    const __m256 low = _mm512_cvtpd_ps(_mm512_sub_pd(s, e)), high = _mm512_cvtpd_ps(_mm512_add_pd(s, e));
    const __mmask8 same = _mm256_cmpeq_epi32_mask(_mm256_castps_si256(low), _mm256_castps_si256(high));
    const __mmask8 finite = _mm512_cmp_pd_mask(e, _mm512_set1_pd(INFINITY), _CMP_LT_OQ);
    _mm256_storeu_ps(rounded, low);
    return 0xFF & ~(same & finite);
#elif defined(__AVX2__) && defined(__FMA__)
    const __m128 low = _mm256_cvtpd_ps(_mm256_sub_pd(s, e)), high = _mm256_cvtpd_ps(_mm256_add_pd(s, e));
    const __m128i same = _mm_cmpeq_epi32(_mm_castps_si128(low), _mm_castps_si128(high));
    const __m256d finite = _mm256_cmp_pd(e, _mm256_set1_pd(INFINITY), _CMP_LT_OQ);
    _mm_storeu_ps(rounded, low);
    return 0xF & ~(_mm_movemask_ps(_mm_castsi128_ps(same)) & _mm256_movemask_pd(finite));
#else
    double sums[LANES], errors[LANES];
    int lane, doubtful = 0;
    memcpy(sums, &s, sizeof sums);
    memcpy(errors, &e, sizeof errors);
    for (lane = 0; lane < LANES; lane++) {
        const float low = (float)(sums[lane] - errors[lane]), high = (float)(sums[lane] + errors[lane]);
        rounded[lane] = low;
        doubtful |= (memcmp(&low, &high, sizeof low) != 0 || !(errors[lane] < INFINITY)) << lane;
    }
    return doubtful;
#endif
}

/* The same for float64, of unevaluated sums: high + (low - e) against high + (low + e). */
static inline int vector_test_float64(vector high, vector low, vector e, double *rounded)
{
#if defined(__AVX512F__)
    const __m512d below = _mm512_add_pd(high, _mm512_sub_pd(low, e)), above = _mm512_add_pd(high, _mm512_add_pd(low, e));
    const __mmask8 same = _mm512_cmpeq_epi64_mask(_mm512_castpd_si512(below), _mm512_castpd_si512(above));
    const __m512d zero = _mm512_mul_pd(_mm512_setzero_pd(), _mm512_add_pd(high, e)); /* NaN if not finite */
    _mm512_storeu_pd(rounded, below);
    return 0xFF & ~(same & _mm512_cmp_pd_mask(zero, zero, _CMP_EQ_OQ));
#elif defined(__AVX2__) && defined(__FMA__)
    const __m256d below = _mm256_add_pd(high, _mm256_sub_pd(low, e)), above = _mm256_add_pd(high, _mm256_add_pd(low, e));
    const __m256i same = _mm256_cmpeq_epi64(_mm256_castpd_si256(below), _mm256_castpd_si256(above));
    const __m256d zero = _mm256_mul_pd(_mm256_setzero_pd(), _mm256_add_pd(high, e)); /* NaN if not finite */
    _mm256_storeu_pd(rounded, below);
    return 0xF & ~(_mm256_movemask_pd(_mm256_castsi256_pd(same)) & _mm256_movemask_pd(_mm256_cmp_pd(zero, zero, _CMP_EQ_OQ)));
#else
    double highs[LANES], lows[LANES], errors[LANES];
    int lane, doubtful = 0;
    memcpy(highs, &high, sizeof highs);
    memcpy(lows, &low, sizeof lows);
    memcpy(errors, &e, sizeof errors);
    for (lane = 0; lane < LANES; lane++) {
        const double below = highs[lane] + (lows[lane] - errors[lane]), above = highs[lane] + (lows[lane] + errors[lane]);
        const int finite = fabs(highs[lane]) < INFINITY && errors[lane] < INFINITY;
        rounded[lane] = below;
        doubtful |= (memcmp(&below, &above, sizeof below) != 0 || !finite) << lane;
    }
    return doubtful;
#endif
}

#if defined(__AVX2__)
/* The 8 by 8 matrix whose rows are a[0..7] becomes its transpose. */
static inline void transpose(__m256 a[8])
{
    __m256 b[8];
    int i;
    for (i = 0; i < 4; i++) { /* pairs of rows interleaved */
        b[2 * i] = _mm256_unpacklo_ps(a[2 * i], a[2 * i + 1]);
        b[2 * i + 1] = _mm256_unpackhi_ps(a[2 * i], a[2 * i + 1]);
    }
    for (i = 0; i < 2; i++) { /* four rows */
        a[4 * i] = _mm256_shuffle_ps(b[4 * i], b[4 * i + 2], 0x44);
        a[4 * i + 1] = _mm256_shuffle_ps(b[4 * i], b[4 * i + 2], 0xEE);
        a[4 * i + 2] = _mm256_shuffle_ps(b[4 * i + 1], b[4 * i + 3], 0x44);
        a[4 * i + 3] = _mm256_shuffle_ps(b[4 * i + 1], b[4 * i + 3], 0xEE);
    }
    for (i = 0; i < 4; i++) { /* all eight */
        b[i] = _mm256_permute2f128_ps(a[i], a[i + 4], 0x20);
        b[i + 4] = _mm256_permute2f128_ps(a[i], a[i + 4], 0x31);
    }
    for (i = 0; i < 8; i++)
        a[i] = b[i];
}
#endif

#if defined(__AVX2__) && defined(__FMA__)
/* 8 doubles rounded to float. */
static inline __m256 narrowed(const vector *a)
{
#if defined(__AVX512F__)
    return _mm512_cvtpd_ps(a[0]);
#else
    return _mm256_set_m128(_mm256_cvtpd_ps(a[1]), _mm256_cvtpd_ps(a[0]));
#endif
}
#endif

/* Store block[position][channel] so that positions are neighbours: channel c goes to target + c * channel_step bytes. */
static inline void store_transposed(const float *block, char *target, ptrdiff_t channel_step)
{
#if defined(__AVX2__)
    __m256 a[8];
    int i;
    for (i = 0; i < 8; i++)
        a[i] = _mm256_loadu_ps(block + 8 * i);
    transpose(a);
    for (i = 0; i < 8; i++)
        _mm256_storeu_ps((float *)(target + i * channel_step), a[i]);
#else
    int position, channel;
    for (channel = 0; channel < CHANNELS; channel++)
        for (position = 0; position < CHANNELS; position++)
            memcpy(target + channel * channel_step + 4 * position, block + CHANNELS * position + channel, 4);
#endif
}

/* Store the sums of 8 positions by 8 channels as float32 with positions as neighbours (channel c goes to
 * target + c * channel_step bytes), if the rounding test proves all 64; returns whether it does. If not, what was stored
 * is of no use. `sums` is [position][VECTORS], without the bias; the errors of channel c are at most errors[c], finite. */
static inline int store_proved(
    const vector *sums, const vector *biases, const vector *errors, char *target, ptrdiff_t channel_step)
{
#if defined(__AVX2__) && defined(__FMA__)
    vector below[VECTORS], above[VECTORS];
    __m256 rounded[8];
    __m256i differing = _mm256_setzero_si256();
    int i, v;
    for (v = 0; v < VECTORS; v++) {
        below[v] = biases[v] - errors[v];
        above[v] = biases[v] + errors[v];
    }
    for (i = 0; i < 8; i++) {
        vector low[VECTORS], high[VECTORS];
        for (v = 0; v < VECTORS; v++) {
            low[v] = vector_add(sums[i * VECTORS + v], below[v]);
            high[v] = vector_add(sums[i * VECTORS + v], above[v]);
        }
        rounded[i] = narrowed(low);
        differing = _mm256_or_si256(
            differing, _mm256_xor_si256(_mm256_castps_si256(rounded[i]), _mm256_castps_si256(narrowed(high))));
    }
    transpose(rounded);
    for (i = 0; i < 8; i++)
        _mm256_storeu_ps((float *)(target + i * channel_step), rounded[i]);
    return _mm256_testz_si256(differing, differing);
#else
    (void)sums, (void)biases, (void)errors, (void)target, (void)channel_step;
    return 0;
#endif
}

/* Whether store_neighbours proves anything: only where there are registers enough for its tile. */
#if defined(__AVX512F__)
enum { PROVES_NEIGHBOURS = 1 };
#else
enum { PROVES_NEIGHBOURS = 0 };
#endif

/* Store the sums of LANES neighbouring positions by 8 channels as float32 (channel c at target + c * channel_step bytes),
 * if low[c] and low[c] + twice[c] round to the same numbers in all of them; returns whether they do. */
static inline int store_neighbours(const vector *low, const double *twice, char *target, ptrdiff_t channel_step)
{
#if defined(__AVX512F__)
    __m256 rounded[CHANNELS];
    __m256i differing = _mm256_setzero_si256();
    int c;
    for (c = 0; c < CHANNELS; c++) {
        const __m256 high = _mm512_cvtpd_ps(vector_add(low[c], vector_set(twice[c])));
        rounded[c] = _mm512_cvtpd_ps(low[c]);
        differing |= _mm256_castps_si256(rounded[c]) ^ _mm256_castps_si256(high);
    }
    if (!_mm256_testz_si256(differing, differing))
        return 0;
    for (c = 0; c < CHANNELS; c++)
        _mm256_storeu_ps((float *)(target + c * channel_step), rounded[c]);
    return 1;
#else
    (void)low, (void)twice, (void)target, (void)channel_step;
    return 0;
#endif
}

/* target[tap][channel] = the float at source + channel * channel_step bytes + 4 * tap, for 8 channels and 8 taps; its
 * square is added to squares[channel]. */
static inline void widen_transposed(const char *source, ptrdiff_t channel_step, double *target, double *squares)
{
#if defined(__AVX2__) && defined(__FMA__)
    __m256 a[8];
    vector sums[2][VECTORS]; /* of even and of odd taps: half as long to wait for */
    int i, v;
    for (i = 0; i < 8; i++)
        a[i] = _mm256_loadu_ps((const float *)(source + i * channel_step));
    transpose(a);
    for (v = 0; v < VECTORS; v++) {
        sums[0][v] = vector_load(squares + LANES * v);
        sums[1][v] = vector_set(0.0);
    }
    for (i = 0; i < 8; i++) {
#if defined(__AVX512F__)
        const vector wide[VECTORS] = {_mm512_cvtps_pd(a[i])};
#else
        const vector wide[VECTORS] = {_mm256_cvtps_pd(_mm256_castps256_ps128(a[i])), _mm256_cvtps_pd(_mm256_extractf128_ps(a[i], 1))};
#endif
        for (v = 0; v < VECTORS; v++) {
            vector_store(target + 8 * i + LANES * v, wide[v]);
            sums[i % 2][v] = vector_fma(wide[v], wide[v], sums[i % 2][v]);
        }
    }
    for (v = 0; v < VECTORS; v++)
        vector_store(squares + LANES * v, vector_add(sums[0][v], sums[1][v]));
#else
    int tap, channel;
    for (channel = 0; channel < CHANNELS; channel++)
        for (tap = 0; tap < CHANNELS; tap++) {
            float value;
            memcpy(&value, source + channel * channel_step + 4 * tap, 4);
            target[CHANNELS * tap + channel] = value;
            squares[channel] += target[CHANNELS * tap + channel] * target[CHANNELS * tap + channel];
        }
#endif
}

/* powers[i] = the smaller of it and the largest power of two that x[i] is a multiple of: infinity for 0, and 0 for an
 * infinity or a NaN. In a form that compilers turn into vector instructions. */
static inline void lower_powers(const double *restrict x, double *restrict powers, ptrdiff_t count)
{
    const uint64_t fraction = ((uint64_t)1 << 52) - 1, infinity = (uint64_t)0x7FF << 52;
    ptrdiff_t i;
    for (i = 0; i < count; i++) {
        uint64_t bits, cleared;
        double size, rest, power;
        memcpy(&bits, &x[i], 8);
        bits &= fraction | infinity; /* the absolute value */
        /* Without its lowest bit that is set; an empty fraction has a leading bit that is not stored. */
        cleared = (bits & fraction) != 0 ? bits & (bits - 1) : 0;
        memcpy(&size, &bits, 8);
        memcpy(&rest, &cleared, 8);
        power = size - rest;
        power = bits == 0 ? INFINITY : power;
        power = bits >= infinity ? 0.0 : power;
        powers[i] = power < powers[i] ? power : powers[i];
    }
}

/* Ask for `size` bytes that will be read soon; any address will do. */
static inline void prefetch(const char *address, ptrdiff_t size)
{
#if defined(__GNUC__)
    ptrdiff_t i;
    for (i = 0; i < size; i += 64)
        __builtin_prefetch(address + i);
#else
    (void)address, (void)size;
#endif
}

/* a * b = *product + *error exactly, barring underflow and overflow. */
static inline void two_product(double a, double b, double *product, double *error)
{
    *product = a * b;
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    *error = fma(a, b, -*product);
#else
    /* Dekker: cut both factors into halves of 26 bits, whose products are exact. */
    const double cutter = 134217729.0; /* 2^27 + 1 */
    double a_big = cutter * a, b_big = cutter * b;
    double a_high = a_big - (a_big - a), b_high = b_big - (b_big - b);
    double a_low = a - a_high, b_low = b - b_high;
    *error = ((a_high * b_high - *product) + a_high * b_low + a_low * b_high) + a_low * b_low;
#endif
}

#endif
