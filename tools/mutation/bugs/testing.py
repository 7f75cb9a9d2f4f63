"""The oracle: bounds, verdicts, statistics, the quick look, fingerprints, explanations and what is said of them."""

from ..planted import KERNELS, mutation

TESTING = "refconv/testing/"

BUGS = [
    # --- bounds ---
    mutation(
        "bound_of_one_rounding_less",
        TESTING + "bounds.py",
        "return m * u * (1.0 + u)",
        "return np.maximum(m - 1.0, 0.0) * u",
        "bounds::test_allowed_is_the_formula_rounded_up",
    ),
    mutation(
        "underflow_missing_in_the_bound",
        TESTING + "bounds.py",
        "* np.ceil(m / 2) * accumulator.least",
        "* 0.0 * accumulator.least",
        "bounds::test_a_product_lost_to_underflow_uses_up_half_of_what_is_allowed[float16]",
    ),
    mutation(
        "zeros_are_terms",
        TESTING + "bounds.py",
        "        if op.w.all() and op.x.all():\n",
        "        if True:\n",
        "bounds::test_where_every_term_is_zero_the_result_is_zero",
    ),
    mutation(
        "tensor_cores_cut_every_other_term",
        TESTING + "bounds.py",
        'cuts = m if claim.rounding == "truncate" else 1.5 * m + 2.0',
        'cuts = m if claim.rounding == "truncate" else 0.5 * m',
        "claims::test_tensor_cores_use_more_than_half_of_their_bound",
    ),
    # --- verdicts ---
    mutation(
        "dtype_of_a_result_not_looked_at",
        TESTING + "verdict.py",
        "if not operation.is_integer and actual.dtype.name != wanted:",
        "if False:",
        "verdict::test_shape_and_dtype_count",
    ),
    mutation(
        "imaginary_parts_not_judged",
        TESTING + "verdict.py",
        "worse = max(parts, key=lambda part: GRADES.index(part.grade))",
        "worse = parts[0]",
        "verdict::test_complex_results_are_judged_by_their_parts[conv2d]",
    ),
    mutation(
        "weights_conjugated",
        TESTING + "complex_parts.py",
        "zip(((w.real, -w.imag), (w.imag, w.real)), biases, strict=True)",
        "zip(((w.real, w.imag), (-w.imag, w.real)), biases, strict=True)",
        "verdict::test_complex_results_are_judged_by_their_parts[conv2d]",
        "verdict::test_complex_results_are_judged_by_their_parts[conv2d_weight]",
    ),
    mutation(
        "groups_of_complex_operands_mixed_up",
        TESTING + "complex_parts.py",
        'of_w = 1 if operation.kind == "forward" else groups',
        "of_w = 1",
        "verdict::test_complex_results_are_judged_by_their_parts[conv_transpose2d]",
    ),
    mutation(
        "suspicion_not_reported",
        TESTING + "errors.py",
        'return "SUSPICIOUS" if statistics.anomaly else "WITHIN", statistics',
        'return "WITHIN", statistics',
        "verdict::test_grades_from_best_to_worst",
    ),
    mutation(
        "numbers_pass_for_nan",
        TESTING + "errors.py",
        "& ~(np.isnan(self.actual) & np.isnan(self.exact))",
        "& ~np.isnan(self.exact)",
        "verdict::test_values_that_are_not_numbers",
    ),
    # --- statistics ---
    mutation(
        "root_mean_square_not_looked_at",
        TESTING + "statistics.py",
        '        found.append("rms")\n',
        "        pass\n",
        "statistics::test_errors_larger_than_usual_are_suspicious",
    ),
    mutation(
        "largest_error_not_looked_at",
        TESTING + "statistics.py",
        '        found.append("largest")\n',
        "        pass\n",
        "statistics::test_a_single_large_error_is_suspicious",
    ),
    mutation(
        "mean_error_not_looked_at",
        TESTING + "statistics.py",
        '        found.append("mean")\n',
        "        pass\n",
        "statistics::test_results_that_are_all_on_one_side_are_suspicious",
    ),
    # --- the quick look ---
    mutation(
        "quick_look_allows_twice_as_much",
        KERNELS + "screening.pyx",
        "(absolute(error) <= of_m * m[i] * a + of_y * y + least)",
        "(absolute(error) <= 2 * of_m * m[i] * a + of_y * y + least)",
        "screening::test_an_error_beyond_the_bound_does_not_pass_wherever_it_is",
    ),
    mutation(
        "small_numbers_looked_at_too_quickly",
        KERNELS + "screening.pyx",
        "& (a >= SMALLEST))",
        ")",
        "screening::test_errors_beside_numbers_too_small_to_be_squared_are_left_to_the_long_way",
    ),
    mutation(
        "outstanding_elements_counted_twice",
        KERNELS + "screening.pyx",
        "            figures.outstanding += 1\n            z[i] = 0\n",
        "            figures.outstanding += 1\n",
        "screening::test_a_few_outstanding_elements_are_looked_up",
    ),
    mutation(
        "zeros_of_either_sign_differ",
        KERNELS + "screening.pyx",
        "return (a != b) & (<encoding>((a | b) << 1) != 0)",
        "return a != b",
        "screening::test_zeros_of_either_sign_do_not_differ_and_nans_may",
    ),
    mutation(
        "few_elements_allowed_twice_as_much",
        TESTING + "screening.py",
        "allowed = _CAUTION * sums.m",
        "allowed = 2.0 * sums.m",
        "screening::test_an_error_beyond_the_bound_does_not_pass_wherever_it_is",
    ),
    mutation(
        "nothing_is_settled_quickly",
        TESTING + "screening.py",
        '"of_y": w - v,',
        '"of_y": -1.0,',
        "screening::test_ordinary_results_need_no_long_way[none-plain-float32]",
        "screening::test_ordinary_results_need_no_long_way[in the bias-grouped-float64]",
    ),
    # --- fingerprints and explanations ---
    mutation(
        "casts_of_operands_never_seen",
        TESTING + "fingerprint.py",
        "if distances[best] > 0.5 * distances[0]:",
        "if True:",
        "fingerprint::test_narrower_arithmetic_is_told_apart_at_every_length",
    ),
    mutation(
        "order_of_summation_not_told",
        TESTING + "fingerprint.py",
        "            return accumulator, order, agreement\n",
        "            return accumulator, None, agreement\n",
        "fingerprint::test_the_order_of_summation_is_told",
    ),
    mutation(
        "pairs_of_mistakes_not_tried",
        TESTING + "explain/search.py",
        "            self._try_pairs(usual, right)\n",
        "            pass\n",
        "explain::test_two_mistakes_at_once_are_found",
    ),
    mutation(
        "least_likely_mistake_first",
        TESTING + "explain/search.py",
        "(-hypothesis.explained, len(hypothesis.mistakes))",
        "(hypothesis.explained, len(hypothesis.mistakes))",
        "explain::test_bugs_of_independent_implementations_are_named",
    ),
    mutation(
        "only_equal_bits_are_explained",
        TESTING + "explain/search.py",
        "        return same | self._near(operation, self.wide, expected)\n",
        "        return same\n",
        "explain::test_bugs_of_independent_implementations_are_named",
    ),
    # --- what is said, and what is worth saying ---
    mutation(
        "smallest_terms_shown",
        TESTING + "message.py",
        "key=lambda row: -abs(_value(row[1]) * _value(row[3]))",
        "key=lambda row: abs(_value(row[1]) * _value(row[3]))",
        "verdict::test_the_message_of_a_small_problem",
    ),
    mutation(
        "permuted_channels_are_no_nonsense",
        TESTING + "vacuity.py",
        "if right.shape[channel] > 1:",
        "if False:",
        "kill_matrix::test_cases_that_cannot_fail_are_vacuous",
    ),
]
