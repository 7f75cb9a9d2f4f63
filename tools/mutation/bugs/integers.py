"""The arithmetic of integers."""

from ..planted import KERNELS, mutation

BUGS = [
    mutation(
        "pairs_beyond_int32",
        "refconv/integers.py",
        "if bound < 2**31 and max(x, w) < 2**15:",
        "if bound < 2**33 and max(x, w) < 2**15:",
        "integers::test_sums_at_the_limits_of_every_arithmetic",
    ),
    mutation(
        "words_beyond_int64",
        "refconv/integers.py",
        'if bound >= 2**63 and call.overflow != "wrap":',
        'if bound >= 2**66 and call.overflow != "wrap":',
        "integers::test_sums_at_the_limits_of_every_arithmetic",
    ),
    mutation(
        "clamped_results_pass_unnoticed",
        KERNELS + "blocked_integer.pyx",
        "    return differences != 0\n",
        "    return False\n",
        "integers::test_raise_wrap_and_saturate_begin_exactly_at_the_limits",
    ),
    mutation(
        "unsigned_weights_as_quads",
        "refconv/integers.py",
        "call.input.dtype.itemsize == 1 and call.weight.dtype == np.int8",
        "call.input.dtype.itemsize == 1 and call.weight.dtype.itemsize == 1",
        "integers::test_the_extreme_bytes_in_every_place_of_a_cell",
    ),
    mutation(
        "wide_input_as_quads",
        "refconv/integers.py",
        "call.input.dtype.itemsize == 1 and call.weight.dtype == np.int8",
        "call.weight.dtype == np.int8",
        "integers::test_only_input_of_a_byte_is_summed_four_at_a_time",
    ),
    mutation(
        "flipped_bits_are_not_made_up_for",
        KERNELS + "integer_pack.pxd",
        "s.bias[oc] -= FLIP * total",
        "pass",
        "integers::test_four_bytes_at_a_time_give_the_same_sums",
        rebuild=("blocked_integer",),
    ),
    mutation(
        "padding_of_flipped_bytes_is_not_flipped",
        KERNELS + "integer_pack.pxd",
        "memset(cells, FLIP if call.x_flip else 0,",
        "memset(cells, 0,",
        "integers::test_the_extreme_bytes_in_every_place_of_a_cell",
        rebuild=("blocked_integer",),
    ),
    mutation(
        "the_rest_of_a_quad_is_not_zero",
        KERNELS + "integer_pack.pxd",
        "keep = bits_of_numbers(8, run.numbers)",
        "keep = bits_of_numbers(8, 4)",
        "integers::test_the_extreme_bytes_in_every_place_of_a_cell",
        rebuild=("blocked_integer",),
    ),
    mutation(
        "the_band_of_another_group_is_kept",
        KERNELS + "blocked_integer.pyx",
        "if s.band != unit.g * f.items + u % f.items:",
        "if s.band != u % f.items:",
        "integers::test_layers_of_every_layout_agree_on_every_instruction_set",
    ),
    mutation(
        "rows_with_gaps_are_joined",
        KERNELS + "blocked_integer.pyx",
        "unit.columns == f.w.output and call.y.strides[3] == f.w.output * call.y.strides[4]",
        "unit.columns == f.w.output",
        "integer_layouts::test_results_are_written_between_others",
    ),
    mutation(
        "rows_of_the_input_with_gaps_are_joined",
        KERNELS + "integer_pack.pxd",
        "if run.count == extent and step_h == extent * run.step:",
        "if run.count == extent:",
        "integer_layouts::test_rows_of_an_image_may_lie_apart",
        rebuild=("blocked_integer",),
    ),
]
