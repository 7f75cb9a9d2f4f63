"""Layers and the bridge to torch."""

from ..planted import mutation

BUGS = [
    mutation(
        "reflection_repeats_the_edge",
        "refconv/nn/padding.py",
        "2 * (size - 1) - i)",
        "2 * size - 1 - i)",
        "nn_results::test_padding_has_torchs_values_limits_and_words[reflect]",
    ),
]
