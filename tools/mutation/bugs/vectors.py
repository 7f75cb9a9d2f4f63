"""Golden vectors."""

from ..planted import mutation

VECTORS = "refconv/conformance/vectors/"

BUGS = [
    mutation(
        "vectors_draw_from_numpy",
        VECTORS + "stream.py",
        '        digest = hashlib.shake_256(f"{self.name}/{self.draws}".encode()).digest(8 * count)\n',
        "        digest = np.random.default_rng(hash(self.name) % 2**32 + self.draws).bytes(8 * count)\n",
        "vectors::test_the_bytes_are_those_of_the_first_release",
    ),
    mutation(
        "vectors_archives_carry_the_time",
        VECTORS + "files.py",
        'zipfile.ZipInfo(f"{name}.npy", _NO_TIME)',
        'zipfile.ZipInfo(f"{name}.npy", __import__("time").localtime()[:6])',
        "vectors::test_archives_carry_no_time_and_are_not_compressed",
    ),
    mutation(
        "vectors_lose_the_last_digit",
        VECTORS + "files.py",
        "{digits.rstrip('0').rstrip('.')}p",
        "{digits[:-1].rstrip('0').rstrip('.')}p",
        "vectors_verified::test_a_whole_corpus_is_right",
        "vectors::test_both_forms_hold_the_same_numbers",
    ),
    mutation(
        "vectors_sums_exact_far_beyond_the_limit",
        VECTORS + "vector.py",
        "magnitudes.A.max(initial=0.0) <= largest",
        "magnitudes.A.max(initial=0.0) * 2.0**-60 <= largest",
        "vectors::test_results_are_the_exact_sums_rounded_once[rounded]",
    ),
    mutation(
        "vectors_bound_forgets_that_the_result_is_rounded",
        VECTORS + "vector.py",
        "np.nextafter(bound + rounding, np.inf)",
        "bound",
        "vectors::test_the_bound_is_that_of_the_claim_and_the_rounding_of_the_result[claim1]",
    ),
    mutation(
        "vectors_ties_are_none",
        VECTORS + "numbers.py",
        "half = np.ldexp(stream.signs(x).astype(np.float64), -fmt.precision)",
        "half = np.ldexp(stream.signs(x).astype(np.float64), 1 - fmt.precision)",
        "vectors::test_results_are_the_exact_sums_rounded_once[ties]",
    ),
    mutation(
        "vectors_verified_by_their_checksums_alone",
        VECTORS + "corpus.py",
        '(("result", vector.result), ("bound", vector.bound))',
        '(("result", arrays["result"]), ("bound", vector.bound))',
        "vectors_verified::test_a_wrong_result_is_noticed_even_with_its_checksum[conv2d/int8/plain-0.json]",
    ),
    mutation(
        "vectors_verified_without_their_checksums",
        VECTORS + "corpus.py",
        'if _checksum(data) != file["sha256"]:',
        "if not data:",
        "vectors_verified::test_a_changed_byte_is_noticed",
    ),
    mutation(
        "vectors_written_over_what_is_there",
        VECTORS + "corpus.py",
        "if any(directory.iterdir()):",
        "if not directory.is_dir():",
        "vectors_command::test_nothing_is_written_over",
    ),
]
