"""Corpora of golden vectors for tests: a whole one, a small one, their files, and ways to spoil them."""

import hashlib
import json

from refconv.conformance.vectors import write_vectors

__all__ = ["TYPES", "change", "content", "files", "index_of", "line_of", "small_corpus", "whole_corpus"]

TYPES = ("bfloat16", "float32", "float64", "int8")


def whole_corpus(tmp_path_factory):
    """Every theme and function. It is written once for all modules."""
    directory = tmp_path_factory.getbasetemp() / "whole-corpus"
    if not directory.exists():
        assert write_vectors(directory, 1, dtypes=TYPES) > 1000
    return directory


def small_corpus(directory):
    """One to be damaged."""
    write_vectors(directory / "small", 3, ops=["conv2d", "conv1d_weight"], dtypes=["float32", "int8"], count=12)
    return directory / "small"


def index_of(directory):
    return json.loads((directory / "index.json").read_text())


def content(directory, name):
    return json.loads((directory / f"{name}.json").read_text())


def files(directory):
    return {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def change(directory, path, old, new, *, listed):
    """Replace text in a file; `listed`: put the file's new checksum into the index."""
    data = (directory / path).read_bytes()
    assert data.count(old) == 1, (old, data)
    changed = data.replace(old, new)
    (directory / path).write_bytes(changed)
    if listed:
        index = (directory / "index.json").read_text()
        old_sum, new_sum = (hashlib.sha256(d).hexdigest() for d in (data, changed))
        assert old_sum in index
        (directory / "index.json").write_text(index.replace(old_sum, new_sum))


def line_of(directory, path, key):
    return next(line for line in (directory / path).read_bytes().splitlines() if line.startswith(b'"%s"' % key))
