/* Sums of products modulo 2^52, eight at a time: the instructions that AVX-512 IFMA adds to x86-64-v4.
 *
 * Not every processor of that level has them, so they are enabled for two functions only, and a caller asks first. */
#include "vector.h"

/* What a tile is summed from. */
typedef struct {
    const double *w;          /* [pair][4][CHANNELS]: both weights, and both as integers in float64 */
    const double *x;
    const double *x_integers; /* 1.5 * 2^52 + each */
    const ptrdiff_t *places;  /* of the first number of each pair in x, from a position */
    ptrdiff_t partner;        /* from that to the second */
} Factors;

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__GNUC__)

static int has_modular_tiles(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512ifma") != 0;
}

/* Keeps the compiler from taking an address apart into more registers than there are. */
#define ADDRESS(pointer) __asm__("" : "+r"(pointer))

/* paired_tile, for positions at[0..7] places after x and x_integers. */
__attribute__((target("avx512ifma"), always_inline)) static inline void sum_pairs(
    int single, const Factors *f, const double *x, const double *x_integers, const ptrdiff_t *at, ptrdiff_t begin,
    ptrdiff_t end, int add, double *sums, int64_t *remainders)
{
    const vector rounder = vector_set(0x1.8p52);
    const double *w = f->w + 4 * CHANNELS * begin;
    const ptrdiff_t *const places = f->places, partner = f->partner;
    vector total[PIXELS];
    __m512i products[PIXELS];
    ptrdiff_t i;
    int p;
    for (p = 0; p < PIXELS; p++) {
        total[p] = vector_set(0.0);
        products[p] = add ? _mm512_loadu_si512(remainders + CHANNELS * p) : _mm512_setzero_si512();
    }
    for (i = begin; i < end; i++, w += 4 * CHANNELS) {
        const double *x0 = x + places[i], *y0 = x_integers + places[i];
        const double *x1 = x0 + partner, *y1 = y0 + partner;
        const vector w0 = vector_load(w), v0 = vector_load(w + 2 * CHANNELS);
        ADDRESS(x0);
        ADDRESS(x1);
        ADDRESS(y0);
        ADDRESS(y1);
        if (single) {
            const vector b = v0 + rounder;
            for (p = 0; p < PIXELS; p++) {
                total[p] = vector_fma(w0, vector_set(x0[at[p]]), total[p]);
                products[p] = _mm512_madd52lo_epu64(
                    products[p], _mm512_castpd_si512(vector_set(y0[at[p]])), _mm512_castpd_si512(b));
            }
        } else {
            const vector w1 = vector_load(w + CHANNELS), v1 = vector_load(w + 3 * CHANNELS);
            for (p = 0; p < PIXELS; p++) {
                total[p] = vector_fma(w0, vector_set(x0[at[p]]), total[p]);
                products[p] = _mm512_madd52lo_epu64(
                    products[p], _mm512_castpd_si512(vector_set(y0[at[p]]) + v1),
                    _mm512_castpd_si512(vector_set(y1[at[p]]) + v0));
                total[p] = vector_fma(w1, vector_set(x1[at[p]]), total[p]);
            }
        }
    }
    for (p = 0; p < PIXELS; p++) {
        if (add)
            total[p] = vector_add(total[p], vector_load(sums + CHANNELS * p));
        vector_store(sums + CHANNELS * p, total[p]);
        _mm512_storeu_si512(remainders + CHANNELS * p, products[p]);
    }
}

/* For PIXELS positions: sums[p][c] (+)= the sum of w * x under the pairs begin .. end - 1, and remainders[p][c] (+)= the sum
 * of (x + partner of w) * (partner of x + w) modulo 2^52, of the integers; bits above the lowest 52 mean nothing. `single`:
 * there are no partners, but zeros in their place. */
__attribute__((target("avx512ifma"))) static void paired_tile(
    const Factors *f, int single, ptrdiff_t begin, ptrdiff_t end, const ptrdiff_t *positions, int add, double *sums,
    int64_t *remainders)
{
    static const ptrdiff_t neighbours[PIXELS] = {0, 1, 2, 3, 4, 5, 6, 7};
    int p, together = 1;
    for (p = 1; p < PIXELS; p++)
        together &= positions[p] == positions[0] + p;
    if (together) { /* as nearly always: then one address will do for all */
        const double *const x = f->x + positions[0], *const x_integers = f->x_integers + positions[0];
        if (single)
            sum_pairs(1, f, x, x_integers, neighbours, begin, end, add, sums, remainders);
        else
            sum_pairs(0, f, x, x_integers, neighbours, begin, end, add, sums, remainders);
    } else if (single)
        sum_pairs(1, f, f->x, f->x_integers, positions, begin, end, add, sums, remainders);
    else
        sum_pairs(0, f, f->x, f->x_integers, positions, begin, end, add, sums, remainders);
}

/* Cut the weights of a pair of taps into integers times the grids and lower slices, and add the products of the former to
 * `products`. The second is `partner` doubles after the first, or zeros if `single`. Sets bit 0 if the first has lower slices
 * other than zero, bit 1 if the second has. */
static inline int cut_pair(
    const double *w, ptrdiff_t partner, int single, const double *grids, const double *inverses, double *low, double *pair,
    uint64_t *products)
{
    const vector rounder = vector_set(0x1.8p52), grid = vector_load(grids), inverse = vector_load(inverses);
    vector shifted[2];
    int i, any_low = 0;
    for (i = 0; i < 2; i++) {
        const vector whole = i && single ? vector_set(0.0) : vector_load(w + i * partner);
        vector integers, rest;
        shifted[i] = whole * inverse + rounder;
        integers = shifted[i] - rounder;
        rest = whole - integers * grid;
        vector_store(pair + CHANNELS * i, whole);
        vector_store(pair + CHANNELS * (2 + i), integers);
        if (_mm512_cmp_pd_mask(rest, vector_set(0.0), _CMP_NEQ_UQ)) { /* or a NaN */
            vector_store(low + i * partner, rest);
            any_low |= 1 << i;
        }
    }
    _mm512_storeu_si512(products, _mm512_add_epi64(_mm512_loadu_si512(products),
        _mm512_mullo_epi64(_mm512_castpd_si512(shifted[0]), _mm512_castpd_si512(shifted[1]))));
    return any_low;
}

static inline void vector_two_sum(vector a, vector b, vector *total, vector *error)
{
    const vector s = a + b, b_part = s - a;
    *error = (a - (s - b_part)) + (b - b_part);
    *total = s;
}

/* high + low rounded to odd, as filter.pxd's. */
static inline vector vector_to_odd(vector high, vector low)
{
    vector total, error;
    __m512i bits, step;
    __mmask8 even;
    vector_two_sum(high, low, &total, &error);
    bits = _mm512_castpd_si512(total);
    even = _mm512_cmp_pd_mask(error, vector_set(0.0), _CMP_NEQ_UQ) & _mm512_testn_epi64_mask(bits, _mm512_set1_epi64(1));
    /* One step away from zero if the error has the sign of the total, else towards zero. */
    step = _mm512_or_epi64(
        _mm512_srai_epi64(_mm512_xor_epi64(bits, _mm512_castpd_si512(error)), 63), _mm512_set1_epi64(1));
    return _mm512_castsi512_pd(_mm512_mask_add_epi64(bits, even, bits, step));
}

/* Whether the float32 nearest to first + second + third + bias is known, in all of 8 channels, when that sum errs by at most
 * `errors`: prove_strip and accept_pair, in registers. Then it is in `rounded`. With the lower word as an error, or (for
 * ties) high + low in one rounding. */
static inline int join_proved(
    const double *first, const double *second, const double *third, const vector *biases, const double *errors,
    int in_one_rounding, float *rounded)
{
    const vector e = vector_load(errors);
    vector high, low, rest;
    vector_two_sum(vector_load(first), biases[0], &high, &rest);
    vector_two_sum(high, vector_load(second), &high, &low);
    vector_two_sum(high, low + rest + vector_load(third), &high, &low);
    if (in_one_rounding) {
        const __m256 below = _mm512_cvtpd_ps(vector_to_odd(high, low - e)), above = _mm512_cvtpd_ps(vector_to_odd(high, low + e));
        const __mmask8 same = _mm256_cmpeq_epi32_mask(_mm256_castps_si256(below), _mm256_castps_si256(above));
        _mm256_storeu_ps(rounded, below);
        return (same & _mm512_cmp_pd_mask(_mm512_abs_pd(high) + e, vector_set(INFINITY), _CMP_LT_OQ)) == 0xFF;
    }
    return vector_test_float32(high, 1.0625 * (_mm512_abs_pd(low) + e) + 0x1p-51 * _mm512_abs_pd(high), rounded) == 0;
}

#else

static int has_modular_tiles(void)
{
    return 0;
}

static inline int join_proved(
    const double *first, const double *second, const double *third, const vector *biases, const double *errors,
    int in_one_rounding, float *rounded)
{
    (void)first, (void)second, (void)third, (void)biases, (void)errors, (void)in_one_rounding, (void)rounded;
    return 0;
}

static inline int cut_pair(
    const double *w, ptrdiff_t partner, int single, const double *grids, const double *inverses, double *low, double *pair,
    uint64_t *products)
{
    (void)w, (void)partner, (void)single, (void)grids, (void)inverses, (void)low, (void)pair, (void)products;
    return 0;
}

static void paired_tile(
    const Factors *f, int single, ptrdiff_t begin, ptrdiff_t end, const ptrdiff_t *positions, int add, double *sums,
    int64_t *remainders)
{
    (void)f, (void)single, (void)begin, (void)end, (void)positions, (void)add, (void)sums, (void)remainders;
}

#endif
