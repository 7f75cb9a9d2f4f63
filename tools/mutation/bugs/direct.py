"""The loops of the direct kernel, which define a convolution."""

from ..planted import KERNELS, mutation

DIRECT = "conv2d_values::test_every_geometry_gives_the_bits_of_the_definition[float32-float32]"

BUGS = [
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
]
