"""The clauses of the conformance suite: each made to ask nothing, or something else, so that a wrong function passes.

They are caught by wrong functions, one or more for each clause, which that clause has to reject.
"""

from ..planted import mutation

CONFORMANCE = "refconv/conformance/"
CLAUSES = CONFORMANCE + "clauses/"
CALLS = CLAUSES + "calls.py"
ONE_THING = CLAUSES + "one_thing.py"
GEOMETRY = CLAUSES + "geometry.py"
EVERYTHING = CLAUSES + "everything.py"
MEMORY = CLAUSES + "memory.py"


def rejected(name):
    """The test that a function of tests/wrong_convolutions.py is rejected by its clause."""
    return f"conformance::test_a_wrong_convolution_fails_the_clause_that_says_so_and_its_script_fails_too[{name}]"


def relative_rejected(name):
    """The same for one of tests/wrong_relatives.py."""
    return f"conformance::test_a_wrong_relative_fails_its_clause_and_its_script_fails_too[{name}]"


BUGS = [
    # --- one thing at a time ---
    mutation(
        "shape_by_number_of_axes",
        CONFORMANCE + "judges/mismatch.py",
        "    if got.shape != wanted:\n",
        "    if got.ndim != len(wanted):\n",
        rejected("last_row_missing"),
    ),
    mutation(
        "dtype_by_kind",
        CONFORMANCE + "judges/results.py",
        "    if got.dtype.name != wanted:\n",
        "    if got.dtype.kind != wanted[0]:\n",
        rejected("always_float64"),
    ),
    mutation(
        "impulse_on_one_tap",
        ONE_THING,
        'cases_of("kernel", recipes=frozenset({"one_hot"}))',
        'cases_of("channels", recipes=frozenset({"one_hot"}))',
        rejected("odd_taps_lost"),
    ),
    mutation(
        "flipped_kernels_of_one_tap",
        ONE_THING,
        '"The kernel is not flipped", cases_of("kernel")',
        '"The kernel is not flipped", cases_of("channels")',
        rejected("kernel_flipped"),
    ),
    mutation(
        "axes_of_size_one_are_longer",
        CALLS,
        "draw(st.sampled_from((0, 0, 1, 4)), label=",
        "draw(st.sampled_from((1, 4)), label=",
        rejected("squeezes_its_input"),
    ),
    mutation(
        "one_channel_counts",
        ONE_THING,
        '"Every channel counts, once", cases_of("channels")',
        '"Every channel counts, once", cases_of("kernel")',
        rejected("last_channel_dropped"),
    ),
    mutation(
        "vectors_of_five_at_most",
        CALLS,
        "_AROUND_VECTORS = (1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33)",
        "_AROUND_VECTORS = (1, 3, 4, 5)",
        rejected("seventeenth_channel_lost"),
        relative_rejected("output_channels_past_the_thirtieth_lost"),
    ),
    mutation(
        "matrix_products_without_stride",
        ONE_THING,
        'cases_of("channels", "batch", "stride", "padding", "bias")',
        'cases_of("channels", "batch", "padding", "bias")',
        rejected("stride_forgotten_by_matrix_products"),
    ),
    mutation(
        "matrix_products_without_padding",
        ONE_THING,
        'cases_of("channels", "batch", "stride", "padding", "bias")',
        'cases_of("channels", "batch", "stride", "bias")',
        relative_rejected("padding_of_matrix_products_is_the_last_pixel"),
    ),
    mutation(
        "batches_of_one",
        ONE_THING,
        '"Images of a batch are independent", cases_of("kernel", "channels", "batch", "bias")',
        '"Images of a batch are independent", cases_of("kernel", "channels", "bias")',
        rejected("first_image_only"),
    ),
    mutation(
        "empty_batch_of_one",
        CALLS,
        "replace(call, input_shape=(0, *call.input_shape[1:]))",
        "replace(call, input_shape=(1, *call.input_shape[1:]))",
        rejected("batch_of_one_at_least"),
    ),
    mutation(
        "unbatched_inputs_have_a_batch_axis",
        ONE_THING,
        'always=("unbatched",)',
        "always=()",
        rejected("always_batched"),
    ),
    mutation(
        "no_bias_in_the_clause_about_it",
        ONE_THING,
        'cases_of("channels", "batch", always=("bias",))',
        'cases_of("channels", "batch")',
        rejected("bias_missing"),
    ),
    mutation(
        "one_group_only",
        ONE_THING,
        'cases_of("kernel", "channels", "groups", "bias")',
        'cases_of("kernel", "channels", "bias")',
        rejected("groups_interleaved"),
        relative_rejected("gradients_of_the_groups_rotated"),
    ),
    # --- where windows lie ---
    mutation(
        "strides_of_one",
        GEOMETRY,
        '"The stride is respected, per axis", cases_of("kernel", "stride")',
        '"The stride is respected, per axis", cases_of("kernel")',
        rejected("stride_axes_swapped"),
        relative_rejected("gradient_of_left_over_rows_copied"),
    ),
    mutation(
        "dilations_of_one",
        GEOMETRY,
        '"The dilation is respected, per axis", cases_of("kernel", "dilation")',
        '"The dilation is respected, per axis", cases_of("kernel")',
        rejected("dilation_ignored"),
        relative_rejected("dilation_of_three_is_two_and_a_gap"),
    ),
    mutation(
        "dilation_without_stride",
        GEOMETRY,
        '    cases_of("kernel", "stride", "dilation"),\n    needs=("stride", "dilation", "strided_dilation"),',
        '    cases_of("kernel", "dilation"),\n    needs=("stride", "dilation", "strided_dilation"),',
        rejected("dilation_forgotten_with_stride"),
    ),
    mutation(
        "padding_of_zero",
        GEOMETRY,
        '"Padding adds zeros on all sides", cases_of("kernel", "padding")',
        '"Padding adds zeros on all sides", cases_of("kernel")',
        rejected("padding_on_one_side"),
        rejected("windows_in_the_padding_are_nan"),
    ),
    mutation(
        "uneven_padding_is_even",
        GEOMETRY,
        'always=("asymmetric_padding",)',
        "always=()",
        relative_rejected("padding_from_the_first_axis_alone"),
        relative_rejected("beginning_and_end_exchanged"),
    ),
    mutation(
        "deep_padding_of_one",
        CALLS,
        "tuple(extent + draw(st.integers(0, 3)",
        "tuple(min(extent, 1) + 0 * draw(st.integers(0, 3)",
        relative_rejected("padding_past_the_kernel_wraps"),
    ),
    mutation(
        "paddings_without_names",
        GEOMETRY,
        'always=("named_padding",)',
        "always=()",
        rejected("odd_zero_at_the_beginning"),
    ),
    mutation(
        "same_of_torch_for_all",
        "refconv/testing/calls.py",
        "(-(-length // s) - 1) * s + geometry.extent(k, d) - length",
        "geometry.extent(k, d) - 1",
        relative_rejected("same_without_its_stride"),
    ),
    mutation(
        "same_lower_is_same_upper_and_the_other_way_round",
        "refconv/testing/calls.py",
        'if self.padding_name == "SAME_LOWER" else (smaller, larger)',
        'if self.padding_name == "SAME_UPPER" else (smaller, larger)',
        relative_rejected("upper_and_lower_exchanged"),
        "conformance::test_a_right_convolution_conforms_with_the_paddings_of_others[onnx]",
    ),
    mutation(
        "no_output_padding",
        CALLS,
        "added = tuple(draw(st.integers(1, s - 1), label=",
        "added = tuple(0 * draw(st.integers(1, s - 1), label=",
        relative_rejected("added_rows_are_zero"),
        relative_rejected("rows_added_at_the_beginning"),
    ),
    # --- everything at once, special numbers, large sizes ---
    mutation(
        "some_things_go_with_some_things",
        EVERYTHING,
        "    calls = calls_of(profile, op)\n",
        '    calls = calls_of(profile, op, "kernel")\n',
        rejected("dilation_forgotten_with_stride_and_groups"),
    ),
    mutation(
        "any_error_is_within_the_bound",
        CONFORMANCE + "judges/results.py",
        "    if verdict.right:\n        judged =",
        "    if True:\n        judged =",
        rejected("accumulates_in_float16"),
        relative_rejected("products_of_half_precision"),
    ),
    mutation(
        "special_values_are_ordinary",
        EVERYTHING,
        'cases_from(calls_of, {"special_values"})',
        'cases_from(calls_of, {"small_integers"})',
        rejected("nan_is_zero"),
    ),
    mutation(
        "signs_of_zeros_always_compared",
        CLAUSES + "clause.py",
        "            and (not self.on_request or getattr(profile, self.on_request))\n",
        "",
        "conformance::test_the_sign_of_zeros_is_compared_on_request_only",
    ),
    mutation(
        "signs_of_zeros_never_compared",
        CONFORMANCE + "judges/results.py",
        "negative = zeros & np.signbit(got.astype(case.exact.dtype))",
        "negative = zeros & np.signbit(case.exact)",
        rejected("sum_of_what_is_subtracted"),
    ),
    mutation(
        "signs_of_underflowing_sums_compared",
        CONFORMANCE + "judges/results.py",
        "zeros = (case.exact == 0) & ~np.signbit(case.exact)",
        "zeros = case.exact == 0",
        "conformance::test_the_sign_of_a_result_that_underflows_is_not_judged",
    ),
    mutation(
        "subnormals_are_normal",
        EVERYTHING,
        'recipes=frozenset({"subnormal_integers"})',
        'recipes=frozenset({"small_integers"})',
        rejected("flushes_subnormals"),
    ),
    mutation(
        "nothing_overflows",
        EVERYTHING,
        'recipes=frozenset({"overflowing"})',
        'recipes=frozenset({"small_integers"})',
        rejected("saturates"),
        relative_rejected("saturates_at_the_largest_number"),
    ),
    mutation(
        "large_extents_are_small",
        CALLS,
        "draw(st.sampled_from(_LONG if",
        "draw(st.sampled_from((2, 3) if True else _LONG if",
        rejected("counts_in_eight_bits"),
        relative_rejected("sums_of_a_thousand_windows_at_most"),
    ),
    mutation(
        "only_nan_is_wrong_in_large_results",
        CONFORMANCE + "judges/results.py",
        "wrong = samples[found != want]",
        "wrong = samples[np.isnan(found)]",
        rejected("counts_in_eight_bits"),
    ),
    # --- memory and time ---
    mutation(
        "views_are_copies",
        MEMORY,
        "operands=case.operands._replace(**repeated), layouts=layouts)",
        "operands=case.operands._replace(**repeated), layouts={})",
        rejected("takes_memory_as_contiguous"),
    ),
    mutation(
        "operands_not_looked_at_again",
        CONFORMANCE + "targets/function.py",
        "if array.tobytes() != self._numbers[name].tobytes()",
        "if array.shape != self._numbers[name].shape",
        rejected("clears_its_input"),
    ),
    mutation(
        "results_never_share_memory",
        CONFORMANCE + "targets/function.py",
        "if np.may_share_memory(array, self._returned)",
        "if False",
        rejected("returns_its_input_where_nothing_changes"),
    ),
    mutation(
        "bits_of_repeated_calls_may_differ",
        CONFORMANCE + "judges/calls.py",
        "if len({result.tobytes() for result in results}) > 1:",
        "if len({result.shape for result in results}) > 1:",
        rejected("every_call_rounds_differently"),
    ),
    mutation(
        "earlier_results_may_change",
        CONFORMANCE + "judges/calls.py",
        "    if first.later is not None:\n",
        "    if False:\n",
        rejected("one_buffer_for_all_results"),
    ),
    mutation(
        "other_numbers_in_other_memory",
        CONFORMANCE + "judges/calls.py",
        "reuse_memory=True",
        "reuse_memory=False",
        rejected("remembers_the_weight_by_its_address"),
        relative_rejected("remembers_the_image_by_its_address"),
    ),
    mutation(
        "only_the_first_operand_may_be_remembered",
        CONFORMANCE + "judges/calls.py",
        "    for varied, array in case.operands.given.items():\n        before",
        "    for varied, array in list(case.operands.given.items())[:1]:\n        before",
        rejected("remembers_the_weight_by_its_address"),
    ),
    mutation(
        "threads_one_after_the_other",
        CONFORMANCE + "judges/calls.py",
        "threads=threads)",
        "threads=1)",
        rejected("one_buffer_for_all_threads"),
    ),
    # --- wrong calls ---
    mutation(
        "wrong_calls_may_be_answered",
        CONFORMANCE + "judges/refusals.py",
        "    if theirs is None:\n        raise Mismatch(",
        "    if theirs is None:\n        return\n        raise Mismatch(",
        rejected("guesses_what_was_meant"),
        relative_rejected("takes_any_grad_output"),
    ),
    mutation(
        "any_exception_will_do",
        CONFORMANCE + "judges/refusals.py",
        "    if not set(theirs.bases) & set(target.profile.refusals):\n",
        "    if not theirs.bases:\n",
        rejected("fails_with_the_wrong_exception"),
        relative_rejected("asserts_instead"),
    ),
    mutation(
        "any_words_will_do",
        CONFORMANCE + "judges/refusals.py",
        "if comparable and not (theirs.type in bases and str(ours) == theirs.text):",
        "if comparable and theirs.type not in bases:",
        "conformance::test_messages_must_be_torchs_for_torch",
    ),
    # --- all clauses ---
    mutation(
        "what_cannot_be_judged_is_judged",
        CONFORMANCE + "runner.py",
        "            if not self.row.clause.admits(case):\n",
        "            if False:\n",
        "conformance::test_a_clause_does_not_pass_on_cases_that_it_cannot_judge",
    ),
    mutation(
        "the_same_cases_for_all_seeds",
        CONFORMANCE + "runner.py",
        'zlib.crc32(f"{seed} {row.key} {block}".encode())',
        'zlib.crc32(f"{row.key} {block}".encode())',
        "conformance::test_another_seed_draws_other_cases",
    ),
    mutation(
        "numbers_are_left_as_they_were_drawn",
        CONFORMANCE + "simplify.py",
        "    search.exhaust(_cases_with_simpler_numbers)\n",
        "",
        "failures::test_numbers_of_a_small_case_are_simple",
    ),
    mutation(
        "gradients_are_not_made_small",
        CONFORMANCE + "simplify.py",
        'forward = replace(call, op=f"conv{call.spatial_ndim}d", grad_shape=None)',
        "return None",
        "small_cases::test_of_a_large_case_only_what_fails_is_left[conv2d_weight]",
        "small_cases::test_of_a_large_case_only_what_fails_is_left[conv3d_bias]",
    ),
    mutation(
        "groups_are_cut_across",
        CONFORMANCE + "simplify.py",
        '    "groups": {"input": 1, "grad_output": 1, "weight": 0, "bias": 0},\n',
        '    "groups": {"input": 1, "grad_output": 1},\n',
        "small_cases::test_of_a_large_case_only_what_fails_is_left[conv2d]",
    ),
    mutation(
        "crashes_are_never_doubted",
        CONFORMANCE + "runner.py",
        "if again is None or again.refusal is None or again.refusal.kind != refusal.kind:",
        "if False:",
        "isolation::test_a_run_is_completed_whatever_crashes",
    ),
    mutation(
        "crashes_are_always_doubted",
        CONFORMANCE + "runner.py",
        "if again is None or again.refusal is None or again.refusal.kind != refusal.kind:",
        "if True:",
        "isolation::test_a_crash_of_any_call_does_not_depend_on_earlier_ones",
    ),
    mutation(
        "a_new_process_is_the_old_one",
        CONFORMANCE + "targets/isolated.py",
        "            self._worker.kill()\n            self.lose_worker()\n",
        "            pass\n",
        "isolation::test_a_new_process_has_made_no_calls",
    ),
    mutation(
        "a_new_program_is_the_old_one",
        CONFORMANCE + "targets/executable.py",
        "        _end(self._running)\n        return self._stays\n",
        "        return self._stays\n",
        "protocol::test_a_program_that_stays_can_be_started_anew",
    ),
    mutation(
        "only_the_smallest_case_is_explained",
        CONFORMANCE + "runner.py",
        "        if self.explained is not None or self.cases_looked_at == _CASES_TO_LOOK_AT:\n",
        "        if True:\n",
        "failures::test_where_the_smallest_case_has_no_result_another_one_is_explained",
    ),
    mutation(
        "zeros_are_printed_without_their_sign",
        CONFORMANCE + "repro.py",
        "if array.tobytes() == np.full_like(array, value).tobytes():",
        "if (array == value).all():",
        "failures::test_negative_zeros_are_printed_as_what_they_are",
    ),
    # --- profiles, targets with names, and the command ---
    mutation(
        "no_feature_is_meant_by_a_wrong_name",
        CONFORMANCE + "features.py",
        "return near[0] if near else None",
        "return None",
        "profile::test_what_is_wrong_is_said",
    ),
    mutation(
        "entry_points_of_another_group",
        CONFORMANCE + "targets/load.py",
        'ENTRY_POINTS = "refconv.implementations"',
        'ENTRY_POINTS = "another.group"',
        "entry_points::test_an_entry_point_is_checked_as_it_says_itself_and_in_a_process_of_its_own",
        "entry_points::test_entry_points_are_listed_beside_the_adapters",
    ),
    mutation(
        "methods_are_imported_like_functions",
        CONFORMANCE + "targets/load.py",
        "if rest else [_import(place, attribute)]",
        "if False else [_import(place, attribute)]",
        "entry_points::test_the_script_of_a_failure_imports_the_package[acme-engine]",
    ),
    mutation(
        "once_more_for_all_operations",
        "refconv/cli/check_run.py",
        "    if options.op and len(profile.ops) == 1:\n",
        "    if False:\n",
        "check::test_the_command_for_once_more_runs_one_operation_only[selected1-named1]",
    ),
    mutation(
        "signed_zeros_not_asked_once_more",
        "refconv/cli/check_run.py",
        'for name in ("in_process", "signed_zeros") if',
        'for name in ("in_process",) if',
        "check::test_the_command_for_once_more_runs_one_operation_only[selected1-named1]",
    ),
]
