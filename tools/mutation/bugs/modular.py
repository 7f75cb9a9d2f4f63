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
        "        if any_low != 0:\n            s.low_taps",
        "        if False:\n            s.low_taps",
        SUMS + "what_is_left_when_large_terms_cancel[weight-40]",
        rebuild=("blocked",),
    ),
    mutation(
        "remainder_of_51_bits",
        KERNELS + "modular.pxd",
        "remainders[i] << 12) >> 12)",
        "remainders[i] << 13) >> 13)",
        SUMS + "what_is_left_when_large_terms_cancel[input-24]",
        rebuild=("blocked",),
    ),
]
if not isa.blocked.has_modular_sums():
    BUGS = []
