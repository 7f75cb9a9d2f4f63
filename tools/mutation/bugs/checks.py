"""Shapes, checks of arguments, and what happens to operands and results around the kernels."""

from ..planted import mutation

DIRECT = "conv2d_values::test_every_geometry_gives_the_bits_of_the_definition[float32-float32]"

BUGS = [
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
        "determinism::test_a_thread_that_fails_stops_the_others",
    ),
]
