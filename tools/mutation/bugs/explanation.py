"""What explains: words and pictures."""

from ..planted import mutation

BUGS = [
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
]
