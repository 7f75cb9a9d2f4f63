"""The conformance suite: is an implementation of conv2d right? ``refconv check TARGET`` on the command line.

    targets   what is tested: torch, or any function with the plain signature
    clauses   the specification, one property after the other, each a paragraph and a test
    judges    the ways in which a result is compared with what it should be
    runner    runs clauses on cases drawn by Hypothesis, and makes what fails small
    repro     the failing case as code
    report    the table and the failures, for people to read

`targets` needs NumPy alone (and torch if torch is tested). For the rest: ``pip install refconv[conformance]``.
"""
