"""Planted bugs, and the tests that have to find them: `python -m tools.mutation --help`."""
