"""How fast refconv is, next to the convolutions people use today.

Run ``python -m benchmarks --help`` from the root of the repository.  In reading order:

zoo.py          the layers, and the ladder of sizes
operands.py     the numbers they are filled with, easy and hard
contenders.py   the ways to compute a convolution that are compared
worker.py       a process that runs some of them and times them
team.py         the parent's end of those processes
measure.py      who runs when, and for how long
memory.py       peak extra memory, one fresh process per number
summary.py      the figures that matter, against what they must be and what they aim for
report.py       the table
plots.py        the pictures
"""
