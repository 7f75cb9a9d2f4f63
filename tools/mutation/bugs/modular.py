"""Sums modulo 2^52: only on a processor that has the instruction is the code run that these are planted in."""

from refconv.kernels import isa

from ..planted import KERNELS, mutation

SUMS = "modular_sums::test_"

BUGS = [
    mutation(
        "lower_slices_beyond_the_modulus",
        KERNELS + "modular.pxd",
        "<= TWO_TO_50 * power_of_two(",
        "<= 16 * TWO_TO_50 * power_of_two(",
        SUMS + "lower_slices_that_add_up_to_more_than_the_modulus",
        rebuild=("blocked",),
    ),
    mutation(
        "lower_slices_of_the_input_forgotten",
        KERNELS + "modular.pxd",
        "if s.x_low[start + i] != 0:",
        "if False:",
        SUMS + "what_is_left_when_large_terms_cancel[input-40]",
        rebuild=("blocked",),
    ),
    mutation(
        "lower_slices_of_the_weights_forgotten",
        KERNELS + "modular.pxd",
        "        if any_low & 1:",
        "        if False:",
        SUMS + "what_is_left_when_large_terms_cancel[weight-40]",
        rebuild=("blocked",),
    ),
    mutation(
        "remainder_of_51_bits",
        KERNELS + "modular.pxd",
        "s.w_products[j] << 12) >> 12)",
        "s.w_products[j] << 13) >> 13)",
        SUMS + "what_is_left_when_large_terms_cancel[input-24]",
        rebuild=("blocked",),
    ),
    mutation(
        "products_of_paired_weights_kept",
        KERNELS + "modular.pxd",
        "products[i] - s.x_products[p] - s.w_products[j]",
        "products[i] - s.x_products[p]",
        SUMS + "pairs_of_planes_and_an_odd_last_one[3-kernel1]",
        rebuild=("blocked",),
    ),
    mutation(
        "products_of_paired_operands_of_one_tap",
        KERNELS + "modular.pxd",
        "for k in range(kernel_size(f)):",
        "for k in range(1):",
        SUMS + "pairs_of_planes_and_an_odd_last_one[3-kernel1]",
        rebuild=("blocked",),
    ),
    mutation(
        "an_odd_last_plane_forgotten",
        KERNELS + "modular.pxd",
        "return f.planes % 2 * kernel_size(f)",
        "return 0",
        SUMS + "pairs_of_planes_and_an_odd_last_one[3-kernel0]",
        rebuild=("blocked",),
    ),
    mutation(
        "positions_taken_for_neighbours",
        KERNELS + "modular.h",
        "together &= positions[p] == positions[0] + p;",
        "together &= 1;",
        SUMS + "pairs_of_planes_and_an_odd_last_one[97-kernel1]",
        rebuild=("blocked",),
    ),
    mutation(
        "ties_of_joins_rounded_twice",
        KERNELS + "modular.h",
        "bits = _mm512_castpd_si512(total);",
        "bits = _mm512_castpd_si512(total), error = vector_set(0.0);",
        SUMS + "a_tie_that_only_the_last_bits_of_products_decide[-79-1]",
        rebuild=("blocked",),
    ),
    mutation(
        "joins_rounded_to_odd_away_from_zero_only",
        KERNELS + "modular.h",
        "_mm512_srai_epi64(_mm512_xor_epi64(bits, _mm512_castpd_si512(error)), 63)",
        "_mm512_setzero_si512()",
        SUMS + "a_tie_that_only_the_last_bits_of_products_decide[-79--1]",
        rebuild=("blocked",),
    ),
    mutation(
        "joins_proved_by_the_coarsest_grid",
        KERNELS + "grids.pxd",
        "x_bits = min(x_bits, s.x_bits[p])",
        "x_bits = max(x_bits, s.x_bits[p])",
        SUMS + "a_tie_that_lower_slices_decide_whose_sum_is_rounded",
        rebuild=("blocked",),
    ),
]
if not isa.blocked.has_modular_sums():
    BUGS = []
