"""The compiled loops. Start with ``direct.pyx``: it is the definition."""
