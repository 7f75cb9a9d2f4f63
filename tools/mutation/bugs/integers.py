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
]
