"""The gradients, and with them the transposed convolution."""

from ..planted import KERNELS, mutation

BUGS = [
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
        "weight_rows::test_sums_that_the_bound_does_not_prove_are_made_again",
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
        "return a if b == 1 else a // b + (a % b != 0)",
        "return (a + b - 1) // b",
        "limits::test_the_largest_strides_leave_the_first_window[auto-float32-2^63-1]",
        rebuild=("blocked",),
    ),
    mutation(
        "pairs_along_rows_believed_to_be_exact",
        KERNELS + "rows.pxd",
        "SLACK * (m + 8) * (m + 8) * UNIT_ROUNDOFF",
        "0.0 * SLACK * (m + 8) * (m + 8) * UNIT_ROUNDOFF",
        "weight_rows::test_sums_that_the_bound_does_not_prove_are_made_again",
        rebuild=("weight_rows",),
    ),
    mutation(
        "kernels_of_phases_not_turned_back",
        "refconv/adjoint.py",
        "backwards = (slice(None), slice(None), *(slice(None), slice(None, None, -1)) * n)",
        "backwards = (slice(None), slice(None), *(slice(None), slice(None)) * n)",
        "family_values::test_layers_as_they_occur_give_the_same_bits_by_every_kernel_on_any_number_of_threads"
        "[float32-patches-input]",
    ),
    mutation(
        "phases_and_their_elements_change_places",
        "refconv/adjoint.py",
        "(2 + n + axis, 2 + axis) for axis",
        "(2 + axis, 2 + n + axis) for axis",
        "family_values::test_layers_as_they_occur_give_the_same_bits_by_every_kernel_on_any_number_of_threads"
        "[float32-patches-input]",
    ),
]
