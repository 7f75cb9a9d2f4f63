"""How many cases a run draws: the names that ``--profile`` takes."""

__all__ = ["CASES"]

#: Cases per row. A convolution that is as fast as torch's takes seconds, a minute or two, and a quarter of an hour.
CASES = {"quick": 40, "standard": 200, "thorough": 2000}
