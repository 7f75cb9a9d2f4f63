"""Plant known bugs one at a time and demand that a named test catches each.

    python tools/mutation.py                      all of them, two at a time
    python tools/mutation.py --only flipped_kernel --only ties_away
    python tools/mutation.py --list

For every mutation the tree is copied, one piece of text is replaced (an error if it does not occur exactly once), the
extensions concerned are rebuilt, and the named tests are run: each of them has to fail. First they all have to pass on
the unchanged tree. Exit status 1 if a mutation survives or cannot be judged.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KERNELS = "refconv/kernels/"
TIME_LIMIT = 600
"""Seconds for the tests of one mutation; a hang is not a catch."""

# Names of tests: file without test_ and .py, then the test, with parameters where one of many is enough.
DIRECT = "conv2d_values::test_every_geometry_gives_the_bits_of_the_definition[float32-float32]"
DOT = "exact_dot::test_hard_dot_products_are_correctly_rounded"
LAYER = "algorithms_agree::test_layers_of_every_layout_agree"
BOUNDS = "rounding_bounds::test_"


@dataclass(frozen=True)
class Mutation:
    """A bug: where it is planted, and which tests have to notice.

    `rebuild` names the kernels to compile again; by default that of the file, if it is a kernel. A .pxd needs it: only
    one of the modules that include it is rebuilt, which saves time and suffices.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple
    rebuild: tuple = ()

    @property
    def kernels(self):
        path = Path(self.file)
        return self.rebuild or ((path.stem,) if path.suffix == ".pyx" else ())


def mutation(name, file, old, new, *tests, rebuild=()):
    return Mutation(name, file, old, new, tests, rebuild)


MUTATIONS = [
    # --- the loops of the direct kernel ---
    mutation(
        "flipped_kernel",
        KERNELS + "direct.pyx",
        "add_product(&total, weight[oc, ic, kd, kh, kw],",
        "add_product(&total, weight[oc, ic, kd, kH - 1 - kh, kW - 1 - kw],",
        "conv2d_values::test_the_kernel_is_not_flipped[direct]",
        "conv2d_values::test_an_impulse_in_the_image_leaves_the_kernel_turned_by_half_a_turn[direct]",
        DIRECT,
    ),
    mutation(
        "strides_swapped",
        KERNELS + "direct.pyx",
        "iw = ow * stride_w - pad_left + kw * dilation_w",
        "iw = ow * stride_h - pad_left + kw * dilation_w",
        "conv2d_values::test_stride_skips_windows_and_leaves_the_rest_unread[direct]",
        DIRECT,
    ),
    mutation(
        "top_padding_used_on_the_left",
        KERNELS + "direct.pyx",
        "iw = ow * stride_w - pad_left + kw * dilation_w",
        "iw = ow * stride_w - pad_top + kw * dilation_w",
        "conv2d_values::test_padding_pairs_are_top_bottom_then_left_right[direct]",
        DIRECT,
    ),
    mutation(
        "dilation_ignored_across",
        KERNELS + "direct.pyx",
        "iw = ow * stride_w - pad_left + kw * dilation_w",
        "iw = ow * stride_w - pad_left + kw",
        "conv2d_values::test_dilation_spreads_the_taps[direct]",
        DIRECT,
    ),
    mutation(
        "last_row_never_read",
        KERNELS + "direct.pyx",
        "if ih < 0 or ih >= H:",
        "if ih < 0 or ih >= H - 1:",
        "conv2d_values::test_the_textbook_example_of_a_cross_in_a_five_by_five_image",
        "conv2d_values::test_padding_only_touches_border_outputs[direct]",
    ),
    mutation(
        "every_group_reads_from_its_own_number_on",
        KERNELS + "direct.pyx",
        "first_ic = g * C_in_per_group",
        "first_ic = g",
        "conv2d_values::test_each_group_of_filters_sees_only_its_group_of_channels[direct]",
        DIRECT,
    ),
    mutation(
        "first_bias_for_all",
        KERNELS + "direct.pyx",
        "bias[oc])",
        "bias[0])",
        "conv2d_values::test_the_bias_is_added_to_its_own_channel[direct]",
        DIRECT,
    ),
    mutation(
        "padding_multiplied_by_a_stored_zero",
        KERNELS + "direct.pyx",
        "continue            # left or right of it",
        "add_product(&total, weight[oc, ic, kd, kh, kw], 0.0); continue",
        "conv2d_special::test_taps_in_the_padding_are_no_terms",
    ),
    mutation(
        "no_look_at_signals",
        KERNELS + "interrupt.pxd",
        "        PyErr_CheckSignals()\n",
        "",
        "limits::test_ctrl_c_stops_a_long_call_inside_the_kernel[direct]",
        rebuild=("direct",),
    ),
    # --- the accumulator and the rounding ---
    mutation(
        "ties_away_from_zero",
        KERNELS + "exact.pxd",
        "if half and (rest or result & 1):",
        "if half:",
        DOT + "[exact_tie-float32-float32]",
        DOT + "[exact_tie-float64-float64]",
        rebuild=("exact",),
    ),
    mutation(
        "ties_to_odd",
        KERNELS + "exact.pxd",
        "if half and (rest or result & 1):",
        "if half and (rest or not result & 1):",
        DOT + "[exact_tie-bfloat16-bfloat16]",
        DOT + "[subnormal-float16-float16]",
        rebuild=("exact",),
    ),
    mutation(
        "bits_below_the_top_64_forgotten",
        KERNELS + "exact.pyx",
        "    if any_bit_below(&size, top - 63):\n        significand |= 1\n",
        "",
        DOT + "[near_tie-float64-float32]",
        DOT + "[near_tie-float64-float64]",
    ),
    mutation(
        "sticky_bit_sees_one_word_only",
        KERNELS + "exact.pyx",
        "for i in range(position >> 5):",
        "for i in range(max((position >> 5) - 1, 0), position >> 5):",
        DOT + "[near_tie-float64-float64]",
    ),
    mutation(
        "subnormals_flushed",
        KERNELS + "exact.pxd",
        "    if cut > 64:\n",
        "    if cut > 64 or exponent < f.min_exponent:\n",
        DOT + "[subnormal-float32-float32]",
        "conv2d_special::test_subnormals_are_neither_read_nor_written_as_zero",
        rebuild=("exact",),
    ),
    mutation(
        "largest_number_instead_of_infinity",
        KERNELS + "exact.pxd",
        "return sign | infinity_of(f)\n",
        "return sign | (infinity_of(f) - 1)\n",
        "conv2d_special::test_a_sum_beyond_the_largest_number_is_infinity",
        rebuild=("exact",),
    ),
    mutation(
        "overflow_one_binade_early",
        KERNELS + "exact.pxd",
        "if exponent > f.max_exponent:",
        "if exponent >= f.max_exponent:",
        DOT + "[overflow_threshold-float32-float32]",
        "conv2d_special::test_overflow_on_the_way_does_not_show",
        rebuild=("exact",),
    ),
    mutation(
        "shift_of_64_bits_by_64",
        KERNELS + "exact.pyx",
        "digit2 = (value >> 32) >> (32 - shift)",
        "digit2 = value >> (64 - shift)",
        DOT + "[balanced_exponents-float64-float64]",
        DOT + "[close_exponents-float64-float64]",
    ),
    mutation(
        "subnormal_operands_off_by_one_binade",
        KERNELS + "exact.pyx",
        "    if x_exponent == 0:\n        x_exponent = 1\n",
        "    if x_exponent == 0:\n        x_exponent = 0\n",
        "conv2d_special::test_subnormals_are_neither_read_nor_written_as_zero[direct-float64]",
        DOT + "[near_tie-float64-float64]",
    ),
    mutation(
        "carries_lost_after_many_terms",
        KERNELS + "exact.pyx",
        "    if acc.terms == TERMS_BEFORE_SETTLING:\n        settle(acc)\n",
        "",
        "cimport_client::test_passing_the_carries_on_after_2_to_the_29_terms_changes_nothing",
    ),
    mutation(
        "carry_of_a_negative_word_lost",
        KERNELS + "exact.pyx",
        "carry = acc.word[i] >> 32 ",
        "carry = (acc.word[i] >> 32) & <int64_t>DIGIT ",
        DOT + "[near_tie-float64-float64]",
        DOT + "[cancellation-float32-float32]",
    ),
    mutation(
        "zero_times_infinity_is_infinity",
        KERNELS + "exact.pyx",
        "elif w_bits == 0 or x_bits == 0:",
        "elif w_bits == 0:",
        "conv2d_special::test_infinity_times_zero_of_any_sign_is_nan[direct-float32]",
        DOT + "[special-float32-float32]",
    ),
    mutation(
        "negative_nan",
        KERNELS + "exact.pyx",
        "return infinity_of(f) | (<uint64_t>1 << (f.precision - 2))",
        "return infinity_of(f) | (<uint64_t>1 << (f.precision - 2)) | sign",
        "conv2d_special::test_any_nan_gives_the_positive_quiet_nan_without_payload",
        DOT + "[special-bfloat16-float16]",
    ),
    mutation(
        "infinities_of_both_signs_give_the_positive_one",
        KERNELS + "exact.pyx",
        "if acc.nan or (acc.positive_infinity and acc.negative_infinity):",
        "if acc.nan:",
        "conv2d_special::test_infinities_of_both_signs_give_nan[direct-float64]",
    ),
    # --- widening, and the environment ---
    mutation(
        "callers_flush_to_zero_in_effect",
        KERNELS + "widen.pyx",
        "        fesetenv(FE_DFL_ENV)",
        "        pass",
        "determinism::test_flush_to_zero_set_by_torch_neither_matters_nor_changes[float32]",
        "determinism::test_flush_to_zero_set_by_torch_neither_matters_nor_changes[float16]",
    ),
    mutation(
        "callers_rounding_mode_not_given_back",
        KERNELS + "widen.pyx",
        "        fesetenv(&callers)\n",
        "",
        "determinism::test_the_callers_rounding_mode_does_not_matter_to_exact_dot",
    ),
    mutation(
        "float16_infinity_read_as_a_number",
        KERNELS + "widen.pxd",
        "if (bits & 0x7C00) == 0x7C00:",
        "if bits == 0x7C00:",
        "conv2d_special::test_any_nan_gives_the_positive_quiet_nan_without_payload[direct-float16]",
        rebuild=("widen",),
    ),
    # --- the rounding test of the fast kernel ---
    mutation(
        "bound_a_million_times_too_small",
        KERNELS + "prove.pxd",
        "return SLACK * (f.block + f.blocks + 1 + 8) * UNIT_ROUNDOFF",
        "return SLACK * (f.block + f.blocks + 1 + 8) * UNIT_ROUNDOFF / 1048576",
        LAYER + "[many_weights-cancelling-float32-float32]",
        rebuild=("blocked",),
    ),
    mutation(
        "pair_bound_a_million_times_too_small",
        KERNELS + "ladder.pxd",
        "e = SLACK * (m + 8) * (m + 8) * UNIT_ROUNDOFF * UNIT_ROUNDOFF * window.bound",
        "e = UNIT_ROUNDOFF * UNIT_ROUNDOFF * window.bound / 1048576",
        LAYER + "[many_weights-cancelling-float64-float64]",
        rebuild=("blocked",),
    ),
    mutation(
        "grid_test_too_generous",
        KERNELS + "prove.pxd",
        "if SLACK * last <= TWO_TO_53 * power_of_two(grid):",
        "if SLACK * last <= TWO_TO_53 * 1048576 * power_of_two(grid):",
        LAYER + "[many_weights-cancelling-float32-float32]",
        rebuild=("blocked",),
    ),
    mutation(
        "sign_of_zero_not_tested",
        KERNELS + "filter.pxd",
        "if encodings[j] == narrow(s[j] + e[j], target):",
        "if (encodings[j] ^ narrow(s[j] + e[j], target)) & 0x7FFF == 0:",
        "conv2d_special::test_an_exact_zero_is_positive_whatever_its_terms_are[auto-float16]",
        rebuild=("blocked",),
    ),
    mutation(
        "pair_rounded_to_nearest_before_the_result",
        KERNELS + "filter.pxd",
        "if error != 0 and bits & 1 == 0:",
        "if False:",
        "conv2d_values::test_the_sum_is_rounded_once_not_to_the_operands_format_first",
        rebuild=("blocked",),
    ),
    mutation(
        "padding_is_a_term_of_the_exact_rung",
        KERNELS + "blocked.pyx",
        "if inside(&f.d, unit.od, kd) and inside(&f.h, oh, kh) and inside(&f.w, ow, kw):",
        "if True:",
        "conv2d_special::test_taps_in_the_padding_are_no_terms",
    ),
    mutation(
        "bound_halved",
        KERNELS + "prove.pxd",
        "return SLACK * (f.block + f.blocks + 1 + 8) * UNIT_ROUNDOFF",
        "return 0.5 * SLACK * (f.block + f.blocks + 1 + 8) * UNIT_ROUNDOFF",
        BOUNDS + "half_of_the_bound_would_not_do",
        rebuild=("blocked",),
    ),
    mutation(
        "grid_of_54_bits",
        KERNELS + "prove.pxd",
        "if SLACK * last <= TWO_TO_53 * power_of_two(grid):",
        "if SLACK * last <= 2 * TWO_TO_53 * power_of_two(grid):",
        BOUNDS + "the_grid_has_53_bits_and_not_54",
        rebuild=("blocked",),
    ),
    mutation(
        "bias_missing_in_the_bound",
        KERNELS + "prove.pxd",
        "scaled_bias[j] = plain_factor(f) * fabs(s.bias[oc + j])",
        "scaled_bias[j] = 0.0",
        BOUNDS + "the_bias_is_part_of_the_bound[channels]",
        rebuild=("blocked",),
    ),
    mutation(
        "block_tested_on_one_side_only",
        KERNELS + "vector.h",
        "high[v] = s + e;",
        "high[v] = s - e;",
        BOUNDS + "half_of_the_bound_would_not_do[block]",
        BOUNDS + "the_grid_has_53_bits_and_not_54[block]",
        rebuild=("blocked",),
    ),
    mutation(
        "block_proved_from_nans",
        KERNELS + "pack.pxd",
        "s.x_finite = is_finite(sum_of_measures)",
        "s.x_finite = True",
        BOUNDS + "what_is_not_finite_is_not_proved_by_comparing_nans[input-inf]",
        rebuild=("blocked",),
    ),
    mutation(
        "numbers_compared_instead_of_encodings",
        KERNELS + "filter.pxd",
        "mask |= vector_test_float32(",
        "mask |= 0 & vector_test_float32(",
        BOUNDS + "the_grid_has_53_bits_and_not_54",
        rebuild=("blocked",),
    ),
    mutation(
        "last_position_of_a_tile_left_out",
        KERNELS + "tile.pxd",
        "if count > HALF_TILE:",
        "if count > HALF_TILE + 1:",
        BOUNDS + "no_lane_of_the_last_tile_is_left_out",
        rebuild=("blocked",),
    ),
    mutation(
        "weights_of_another_group",
        KERNELS + "blocked.pyx",
        "if s.packed != unit.g * f.chunks + unit.chunk:",
        "if s.packed != unit.g * f.chunks + unit.chunk and s.packed != unit.g * f.chunks + unit.chunk - 1:",
        BOUNDS + "every_group_and_chunk_uses_its_own_weights",
    ),
    mutation(
        "band_of_another_group",
        KERNELS + "blocked.pyx",
        "if s.band != unit.g * f.items + u % f.items:",
        "if s.band != u % f.items:",
        BOUNDS + "every_group_and_chunk_uses_its_own_input",
    ),
    mutation(
        "input_of_another_band",
        KERNELS + "pack.pxd",
        "    s.x_cut = False\n",
        "",
        LAYER + "[several_bands-cancelling-float64-float64]",
        rebuild=("blocked",),
    ),
    # --- shapes and checks ---
    mutation(
        "output_size_rounded_up",
        "refconv/geometry.py",
        "return (size + sum(padding) - extent(kernel, dilation)) // stride + 1",
        "return -(-(size + sum(padding) - extent(kernel, dilation)) // stride) + 1",
        "conv2d_values::test_three_by_three_filters_on_a_28_by_28_image[2-1-14]",
        "conv2d_torch::test_every_geometry_agrees_with_torch",
    ),
    mutation(
        "same_padding_begins_with_the_larger_half",
        "refconv/geometry.py",
        "return begin, total - begin",
        "return total - begin, begin",
        "conv2d_values::test_same_padding_puts_an_odd_remainder_at_the_end",
        "conv2d_torch::test_padding_by_name_agrees_with_torch",
    ),
    mutation(
        "too_few_channels_accepted",
        "refconv/checks.py",
        "!= C_in:",
        "> C_in:",
        "conv2d_values::test_a_channel_mismatch_is_reported_in_the_words_of_torch",
    ),
    mutation(
        "byte_counts_not_checked",
        "refconv/limits.py",
        "    _check_bytes(problem)\n",
        "",
        "limits::test_an_output_of_2_to_the_64_elements_is_a_conv_error_even_without_input",
    ),
    mutation(
        "pairs_of_padding_halved",
        "refconv/checks.py",
        "padding = tuple(p if isinstance(p, tuple) else (p, p)",
        "padding = tuple((p[0], p[0]) if isinstance(p, tuple) else (p, p)",
        "conv2d_values::test_padding_pairs_are_top_bottom_then_left_right",
        "conv2d_torch::test_every_geometry_agrees_with_torch",
    ),
    # --- what explains: words and pictures ---
    mutation(
        "left_over_elements_miscounted",
        "refconv/explanation.py",
        "left = padded - span - last",
        "left = padded - kernel - last",
        "explain_command::test_the_sentences_are_true",
    ),
    mutation(
        "words_for_different_padding_at_both_ends_ignored",
        "refconv/explanation.py",
        "[pair if len(pair) == 2 else pair * 2 for pair in pairs]",
        "[pair[:1] * 2 for pair in pairs]",
        "explain_command::test_the_sentences_are_true",
    ),
    mutation(
        "window_drawn_without_left_padding",
        "refconv/figures/window.py",
        "return [(k, (ih + top, iw + left)) for",
        "return [(k, (ih + top, iw)) for",
        "figures::test_the_shaded_window_is_the_taps",
    ),
    mutation(
        "receptive_field_of_the_last_layer_alone",
        "refconv/figures/fields.py",
        "for layer in reversed(chain[: depth + 1]):",
        "for layer in [chain[depth]]:",
        "figures::test_receptive_fields_of_lenet",
    ),
    # --- the gradients, and with them the transposed convolution ---
    mutation(
        "windows_between_two_strides",
        KERNELS + "direct_grad.pyx",
        "distance < 0 or distance % stride != 0 or",
        "distance < 0 or",
        "family_values::test_every_element_is_the_exact_sum_rounded_once[float32-1-input]",
        "family_values::test_every_element_is_the_exact_sum_rounded_once[float32-1-conv_transpose]",
    ),
    mutation(
        "gradient_of_another_group",
        KERNELS + "direct_grad.pyx",
        "input[n, first_ic + ic, id, ih, iw])",
        "input[n, ic, id, ih, iw])",
        "family_values::test_every_element_is_the_exact_sum_rounded_once[float32-2-weight]",
    ),
    mutation(
        "phases_padded_on_the_wrong_side",
        "refconv/adjoint.py",
        "padding=(T - 1) * step - o,",
        "padding=(T - 1) * step + o,",
        "family_relations::test_the_gradients_are_the_adjoints",
        "family_torch::test_gradients_are_those_of_autograd[float32]",
    ),
    mutation(
        "gradient_by_the_kernel_not_turned",
        "refconv/adjoint.py",
        "*(slice(None, None, -1),) * len(kernel)",
        "*(slice(None, None, 1),) * len(kernel)",
        "family_relations::test_the_gradients_are_the_adjoints",
    ),
    mutation(
        "stride_and_dilation_stay_in_the_weight_gradient",
        "refconv/adjoint.py",
        'geometry = {"stride": dilation, "padding": padding, "dilation": stride, "groups": groups}',
        'geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}',
        "family_values::test_layers_as_they_occur_give_the_same_bits_by_every_kernel_on_any_number_of_threads"
        "[float64-downsampling-weight]",
    ),
    mutation(
        "elements_that_no_tap_reaches_forgotten",
        "refconv/adjoint.py",
        "    if unreached is not None:\n",
        "    if False:\n",
        "family_values::test_an_output_that_no_tap_reaches_is_the_bias_or_zero_beside_infinite_weights[float32-auto]",
    ),
    mutation(
        "last_slice_of_a_weight_gradient_forgotten",
        KERNELS + "weight_rows.pyx",
        "for s in range(1, f.slices):",
        "for s in range(1, f.slices - 1):",
        "weight_rows::test_the_bits_are_those_of_the_definition[1-several rows in a band-float32]",
    ),
    mutation(
        "sums_along_rows_believed_to_be_exact",
        KERNELS + "weight_rows.pyx",
        "factor = SLACK * factor * UNIT_ROUNDOFF",
        "factor = 0.0 * SLACK * factor * UNIT_ROUNDOFF",
        "weight_rows::test_sums_that_the_bound_does_not_prove_are_made_exactly",
    ),
    mutation(
        "residues_of_rows_mixed_up",
        KERNELS + "weight_rows.pyx",
        "offsets[t] = k % f.w.phases * f.w.extent + k",
        "offsets[t] = 0 * f.w.extent + k",
        "weight_rows::test_the_bits_are_those_of_the_definition[1-strides and dilations-float32]",
    ),
    mutation(
        "largest_strides_overflow",
        KERNELS + "layout.pxd",
        "return a // b + (a % b != 0)",
        "return (a + b - 1) // b",
        "limits::test_the_largest_strides_leave_the_first_window[auto-float32-2^63-1]",
        rebuild=("blocked",),
    ),
    # --- integers ---
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
    # --- layers and torch ---
    mutation(
        "reflection_repeats_the_edge",
        "refconv/nn/padding.py",
        "2 * (size - 1) - i)",
        "2 * size - 1 - i)",
        "nn_results::test_padding_has_torchs_values_limits_and_words[reflect]",
    ),
    # --- convolve.py and what it calls ---
    mutation(
        "mixed_dtypes_accepted",
        "refconv/dtypes.py",
        "        _check_mixed(function, dtype, kind, operands)\n",
        "        pass\n",
        "conv2d_values::test_operands_of_different_dtypes_are_refused_by_name",
    ),
    mutation(
        "last_channel_of_a_task_forgotten",
        "refconv/threads.py",
        "(c, min(c + step, C))",
        "(c, min(c + step, C - 1))",
        "conv2d_values::test_each_group_of_filters_sees_only_its_group_of_channels[direct]",
        DIRECT,
    ),
    mutation(
        "result_without_a_batch_axis_keeps_one",
        "refconv/convolve.py",
        "    return output\n",
        "    return batched[1]\n",
        "conv2d_values::test_without_a_batch_axis_the_result_has_none_either",
    ),
    mutation(
        "output_dtype_ignored",
        "refconv/convolve.py",
        "as_operands(name, dtype, input=input,",
        "as_operands(name, None, input=input,",
        "conv2d_values::test_the_sum_is_rounded_once_not_to_the_operands_format_first",
    ),
    mutation(
        "foreign_byte_order_read_as_native",
        "refconv/arrays.py",
        'else array.astype(array.dtype.newbyteorder("="))',
        'else array.view(array.dtype.newbyteorder("="))',
        "conv2d_layouts::test_foreign_byte_order_is_read_and_the_result_is_native",
    ),
    mutation(
        "gradients_kept",
        "refconv/arrays.py",
        "tensor = tensor.detach().resolve_conj()",
        "tensor = tensor.resolve_conj()",
        "conv2d_tensors::test_torch_tensors_are_read_in_place[requires_grad-float32]",
    ),
    mutation(
        "other_threads_go_on_after_an_interrupt",
        "refconv/threads.py",
        "            stop[0] = 1\n            raise\n",
        "            raise\n",
        "limits::test_ctrl_c_stops_a_long_call_inside_the_kernel[direct_on_threads]",
    ),
]


def node(test):
    file, name = test.split("::", 1)
    return f"tests/test_{file}.py::{name}"


def run(command, folder, seconds=None):
    """Exit status and output; None for the status if it took too long."""
    env = os.environ | {"PYTHONPATH": str(folder)}
    try:
        done = subprocess.run(
            command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired as stopped:
        return None, str(stopped.stdout)
    return done.returncode, done.stdout


def build(folder):
    status, output = run([sys.executable, "setup.py", "build_ext", "--inplace"], folder)
    if status != 0:
        raise SystemExit(f"the build failed in {folder}\n{output[-3000:]}")


def instruction_set(folder):
    """For which of its builds the fast kernel is used here; also makes sure that it is this copy that is tested."""
    program = "import refconv; from refconv.kernels import isa; print(refconv.__file__, isa.level)"
    status, output = run([sys.executable, "-c", program], folder)
    if status != 0 or not Path(output.split()[0]).is_relative_to(folder):
        raise SystemExit(f"the copy in {folder} is not what Python imports: {output}")
    return output.split()[1]


def pytest(tests, folder):
    nodes = [node(test) for test in tests]
    return run(
        [sys.executable, "-m", "pytest", "-q", "-rf", "--tb=no", "-p", "no:cacheprovider", *nodes], folder, TIME_LIMIT
    )


def copy(source, target):
    """A copy with time stamps, so that what was built before need not be built again."""
    ignored = shutil.ignore_patterns(
        ".git", ".venv", ".hypothesis", ".ruff_cache", ".pytest_cache", "__pycache__", "dist"
    )
    shutil.copytree(source, target, ignore=ignored)


def apply(change, folder, level):
    """Replace the text, and make the build see the kernels that the mutation names, and only those, as changed.

    `level` is the instruction set in use: the builds of the fast kernel for others stay as they are.
    """
    path = folder / change.file
    text = path.read_text()
    if text.count(change.old) != 1:
        return f"the text to replace occurs {text.count(change.old)} times in {change.file}"
    before = path.stat()
    path.write_text(text.replace(change.old, change.new))
    if path.suffix == ".pxd":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    for kernel in change.kernels:
        source = folder / KERNELS / f"{kernel}.pyx"
        copy_of_isa = folder / "build" / "isa" / f"{kernel}_{level}.pyx"
        os.utime(copy_of_isa if copy_of_isa.exists() else source)
    return None


def judge(change, base, level):
    """Verdict on one mutation: "caught", or what is wrong."""
    with tempfile.TemporaryDirectory(prefix=f"refconv-{change.name}-") as name:
        folder = Path(name) / "tree"
        copy(base, folder)
        problem = apply(change, folder, level)
        if problem:
            return problem
        if change.kernels:
            status, output = run([sys.executable, "setup.py", "build_ext", "--inplace"], folder)
            if status != 0:
                return f"does not compile: {output.strip().splitlines()[-1]}"
        status, output = pytest(change.tests, folder)
    if status is None:
        return f"the tests did not end within {TIME_LIMIT} s"
    failed = [line.split()[1] for line in output.splitlines() if line.startswith("FAILED ")]
    missed = [test for test in change.tests if not any(f.startswith(node(test)) for f in failed)]
    if status not in (0, 1):
        return f"pytest ended with status {status}: {output.strip().splitlines()[-1]}"
    return f"SURVIVED {', '.join(missed)}" if missed else "caught"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="NAME", help="one mutation; may be repeated")
    parser.add_argument("--jobs", type=int, default=2, help="mutations at a time")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    arguments = parser.parse_args()
    if arguments.list:
        print(*(change.name for change in MUTATIONS), sep="\n")
        return 0
    unknown = set(arguments.only or ()) - {change.name for change in MUTATIONS}
    if unknown:
        parser.error(f"no such mutation: {', '.join(sorted(unknown))}")
    chosen = [change for change in MUTATIONS if not arguments.only or change.name in arguments.only]

    with tempfile.TemporaryDirectory(prefix="refconv-mutation-") as name:
        base = Path(name) / "tree"
        copy(ROOT, base)
        build(base)
        level = instruction_set(base)
        status, output = pytest(sorted({test for change in chosen for test in change.tests}), base)
        if status != 0:
            print(output)
            raise SystemExit("the tests have to pass before they can be said to catch anything")
        survivors = 0
        width = max(len(change.name) for change in chosen)
        with ThreadPoolExecutor(arguments.jobs) as pool:
            began = time.monotonic()
            for change, verdict in zip(
                chosen, pool.map(lambda change: judge(change, base, level), chosen), strict=True
            ):
                survivors += verdict != "caught"
                print(f"{change.name:{width}}  {Path(change.file).name:14}  {verdict}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} caught in {time.monotonic() - began:.0f} s")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
