"""Golden vectors are checked: what is damaged, wrong, missing or too much is noticed."""

import pytest
from vector_corpora import change, line_of, small_corpus, whole_corpus

from refconv.conformance.vectors import verify_vectors


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return whole_corpus(tmp_path_factory)


@pytest.fixture
def small(tmp_path):
    return small_corpus(tmp_path)


def test_a_whole_corpus_is_right(corpus):
    assert verify_vectors(corpus) == []


def test_a_changed_byte_is_noticed(small):
    change(small, "README.txt", b"Golden", b"Leaden", listed=False)
    path = "conv2d/float32/plain-0.npz"
    data = bytearray((small / path).read_bytes())
    data[-1] ^= 1  # the archive's comment length: nothing that is read
    (small / path).write_bytes(data)
    assert f"{path}: its checksum is not the one in the index" in verify_vectors(small)


@pytest.mark.parametrize(
    "path", ["conv2d/float32/plain-0.json", "conv2d/int8/plain-0.json", "conv1d_weight/float32/batch-0.json"]
)
def test_a_wrong_result_is_noticed_even_with_its_checksum(small, path):
    line = line_of(small, path, b"result")
    first = line.split(b"[")[1].split(b",")[0].split(b"]")[0]
    change(small, path, line, line.replace(first, b"17" if b"int8" in path.encode() else b'"0x1.8p+9"', 1), listed=True)
    (problem,) = verify_vectors(small)
    assert problem.startswith(f"{path}: result: 1 of ")
    assert "the first at 0: " in problem


def test_a_wrong_bound_is_noticed(small):
    path = "conv2d/float32/plain-0.json"
    line = line_of(small, path, b"bound")
    change(small, path, line, line.replace(b"0x0p+0", b"0x1p-20", 1), listed=True)
    (problem,) = verify_vectors(small)
    assert problem.startswith(f"{path}: bound: 1 of ")


def test_a_wrong_entry_of_the_index_is_noticed(small):
    index = (small / "index.json").read_text()
    entry = next(line for line in index.splitlines() if '"conv2d/float32/stride-0"' in line)
    (small / "index.json").write_text(index.replace(entry, entry.replace('"exact": true', '"exact": false')))
    problems = verify_vectors(small)
    assert len(problems) == 2
    assert all("exact is False in the index, but should be True" in problem for problem in problems)


def test_missing_and_additional_files_are_noticed(small):
    (small / "conv2d/float32/plain-0.json").rename(small / "conv2d/float32/other.json")
    assert verify_vectors(small) == [
        "conv2d/float32/other.json: is not in the index",
        "conv2d/float32/plain-0.json: cannot be read: No such file or directory",
    ]


def test_a_file_that_is_cut_off_is_noticed(small):
    for form in ("json", "npz"):
        path = small / f"conv2d/float32/plain-0.{form}"
        path.write_bytes(path.read_bytes()[:400])
    problems = verify_vectors(small)
    assert len(problems) == 4
    assert sum("cannot be read: " in problem for problem in problems) == 2


def test_another_directory_is_no_corpus(tmp_path):
    with pytest.raises(ValueError, match="is no corpus of golden vectors"):
        verify_vectors(tmp_path)
    (tmp_path / "index.json").write_text('{"format": "something else", "vectors": []}')
    with pytest.raises(ValueError, match="its format is 'something else'"):
        verify_vectors(tmp_path)
