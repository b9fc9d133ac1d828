"""Headers of GGUF files: what real ones hold, and that no bytes at all crash, hang or fill the reader."""

import struct
import tracemalloc
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.precision.gguf_types import BLOCKS, FILE_TYPE_NUMBERS, IN_NO_MIX, TYPE_NUMBERS
from app.registry import gguf as module
from app.registry.gguf import Array, BrokenGguf, GgufHeader, read_header

from ..hang import no_hang
from .gguf_writer import ARRAY, STRING, UINT32, UINT64, Typed, gguf, info, llama, pair, string

MIB = 2**20


def read(content: bytes) -> GgufHeader:
    return read_header(lambda begin, size: content[begin : begin + size], "x.gguf")


def refused(content: bytes) -> str:
    with no_hang(), pytest.raises(BrokenGguf) as error:
        read(content)
    for language in ("en", "zh"):
        assert "x.gguf" in error.value.message.text(language)  # type: ignore[arg-type]
    return error.value.message.code


def test_metadata_and_tensors() -> None:
    metadata = {
        "general.architecture": "llama",
        "general.alignment": 64,
        "a.float": 0.5,
        "a.flag": True,
        "a.big": Typed(UINT64, 2**40),
        "a.layers": [1, 2, 3],
        "a.words": ["x", "yy"],
        "a.nested": Typed(ARRAY, [[1, 2], [3]], ARRAY),
        "a.infinite": float("inf"),
        "a.text": b"\xff\0",
    }
    tensors = {"w": ("Q4_K", [3, 256]), "b": ("F32", [5]), "s": ("I32", [])}
    content = gguf(metadata, tensors)
    header = read(content)
    assert header.metadata == {
        "general.architecture": "llama",
        "general.alignment": 64,
        "a.float": 0.5,
        "a.flag": True,
        "a.big": 2**40,
        "a.layers": Array(3, (1, 2, 3)),
        "a.words": Array(2),
        "a.nested": Array(2),
        "a.infinite": None,
        "a.text": "\ufffd\ufffd",
    }
    assert [(each.name, each.type, each.shape, each.bytes) for each in header.tensors] == [
        ("w", "Q4_K", (3, 256), 3 * 144),
        ("b", "F32", (5,), 20),
        ("s", "I32", (), 4),
    ]
    assert [each.offset for each in header.tensors] == [0, 448, 512]
    assert (header.version, header.file_bytes) == (3, len(content))
    assert header.least_bytes == header.data_offset + 516


def test_version_2_is_the_same_layout() -> None:
    metadata, tensors = llama()
    assert read(gguf(metadata, tensors, version=2)).tensors == read(gguf(metadata, tensors)).tensors


def test_a_file_of_metadata_alone() -> None:
    header = read(gguf({"a.b": 1}, {}))
    assert (header.tensors, header.data_bytes) == ((), 0)


def test_a_long_vocabulary_is_walked_through_in_pieces_and_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_NEXT_READ", MIB // 4)
    words = [f"word {index:06}" for index in range(100_000)]
    metadata = {"a.words": words, "a.scores": [0.5] * 100_000, "a.merges": words, "a.template": "x" * 5000}
    content = gguf(metadata, {"w": ("F32", [4])}, data=False)
    asked: list[tuple[int, int]] = []

    def source(begin: int, size: int) -> bytes:
        asked.append((begin, size))
        return content[begin : begin + size]

    tracemalloc.start()
    try:
        header = read_header(source, "x.gguf")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [value.length for value in header.metadata.values() if isinstance(value, Array)] == [100_000] * 3
    assert header.metadata["a.template"] == "x" * 1024 + "…"
    assert header.tensors[0].bytes == 16
    assert len(content) > 4 * MIB > MIB > peak
    assert all(size == MIB // 4 for _, size in asked)
    assert all(begin + size <= after for (begin, size), (after, _) in pairwise(asked))
    assert sum(size for _, size in asked) < len(content)  # long arrays of numbers are never asked for


def test_one_table_of_types() -> None:
    assert set(TYPE_NUMBERS.values()) == set(BLOCKS)
    assert set(IN_NO_MIX) < set(BLOCKS)
    assert len(set(FILE_TYPE_NUMBERS.values())) == len(FILE_TYPE_NUMBERS)


HEAD = b"GGUF" + struct.pack("<I", 3)
ONE_TENSOR = HEAD + struct.pack("<QQ", 1, 0)
TWO_TENSORS = HEAD + struct.pack("<QQ", 2, 0)
ONE_PAIR = HEAD + struct.pack("<QQ", 0, 1)
A_PAIR = ONE_PAIR + string("a")
GOOD = gguf(*llama())


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "gguf_cut_short"),
        (b"GG", "gguf_cut_short"),
        (b"GGML" + b"\0" * 100, "gguf_no_magic"),
        (b"GGUF" + struct.pack(">I", 3) + b"\0" * 100, "gguf_big_endian"),
        (b"GGUF" + struct.pack("<I", 1) + b"\0" * 100, "gguf_version"),
        (b"GGUF" + struct.pack("<I", 4) + b"\0" * 100, "gguf_version"),
        (b"GGUF" + struct.pack("<I", 0) + b"\0" * 100, "gguf_version"),
        (HEAD + struct.pack("<QQ", 2**63, 0), "gguf_too_many"),
        (HEAD + struct.pack("<QQ", 0, 2**64 - 1), "gguf_too_many"),
        (GOOD[:200], "gguf_cut_short"),
        (ONE_PAIR + struct.pack("<Q", 2**64 - 1), "gguf_long_name"),
        (ONE_PAIR + pair("", 1), "gguf_key"),
        (HEAD + struct.pack("<QQ", 0, 2) + pair("a", 1) + pair("a", 1), "gguf_key"),
        (A_PAIR + struct.pack("<I", 13), "gguf_value_type"),
        (A_PAIR + struct.pack("<IIQ", ARRAY, 13, 1), "gguf_value_type"),
        (A_PAIR + struct.pack("<IQ", STRING, 2**64 - 1) + b"x" * 2000, "gguf_header_too_large"),
        (A_PAIR + struct.pack("<IIQ", ARRAY, UINT64, 2**64 - 1), "gguf_header_too_large"),
        (A_PAIR + struct.pack("<IIQ", ARRAY, STRING, 2**64 - 1), "gguf_too_many"),
        (A_PAIR + struct.pack("<IIQQ", ARRAY, STRING, 2, 2**64 - 1), "gguf_header_too_large"),
        (A_PAIR + struct.pack("<I", ARRAY) + struct.pack("<IQ", ARRAY, 1) * 99, "gguf_too_many"),
        (ONE_PAIR + pair("general.alignment", 0), "gguf_alignment"),
        (ONE_PAIR + pair("general.alignment", 24), "gguf_alignment"),
        (ONE_PAIR + pair("general.alignment", "32"), "gguf_alignment"),
        (ONE_PAIR + pair("general.alignment", Typed(UINT64, 32)), "gguf_alignment"),
        (ONE_TENSOR + info("", 0, [1], 0), "gguf_tensor_name"),
        (ONE_TENSOR + info("w", 4, [32], 0), "gguf_tensor_type"),
        (ONE_TENSOR + info("w", 2**32 - 1, [32], 0), "gguf_tensor_type"),
        (ONE_TENSOR + info("w", 0, [1] * 5, 0), "gguf_tensor_shape"),
        (ONE_TENSOR + info("w", 0, [2**63], 0), "gguf_tensor_shape"),
        (ONE_TENSOR + info("w", 0, [0, 2**63], 0), "gguf_tensor_shape"),
        (ONE_TENSOR + info("w", 0, [2**32, 2**32], 0), "gguf_tensor_shape"),
        (ONE_TENSOR + info("w", 12, [128, 2], 0), "gguf_tensor_shape"),
        (ONE_TENSOR + info("w", 0, [1], 32), "gguf_tensor_offset"),
        (TWO_TENSORS + info("w", 0, [1], 0) + info("w", 0, [1], 32), "gguf_tensor_name"),
        (TWO_TENSORS + info("w", 0, [9], 0) + info("v", 0, [1], 32), "gguf_tensor_offset"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_its_sentence(content: bytes, code: str) -> None:
    assert refused(content) == code


def test_endless_files_end() -> None:
    """A source without an end, of whatever it likes: empty strings, empty arrays, long strings."""
    begin = string("a") + struct.pack("<IIQ", ARRAY, STRING, module.MOST_STRINGS)
    for filling in (b"\0" * 8, b"\xff" + b"\0" * 7, struct.pack("<Q", MIB)):

        def source(at: int, size: int, filling: bytes = filling) -> bytes:
            head = HEAD + struct.pack("<QQ", 0, 2) + begin
            return (head[at:] + filling * (size // len(filling) + 1))[:size]

        with no_hang(), pytest.raises(BrokenGguf):
            read_header(source, "x.gguf")


def test_arrays_inside_arrays_are_counted_together() -> None:
    """Empty arrays in each of many pairs are refused by their sum."""
    many = struct.pack("<IQ", UINT32, 0) * 1000
    one = struct.pack("<IIQ", ARRAY, ARRAY, 1000) + many
    pairs = [string(f"k{index}") + one for index in range(module.MOST_ARRAYS // 1000 + 1)]
    content = HEAD + struct.pack("<QQ", 0, len(pairs)) + b"".join(pairs)
    assert refused(content) == "gguf_too_many"


def examine(content: bytes) -> None:
    """Whatever the bytes are: refused in our words, or sizes that add up."""
    with no_hang():
        try:
            header = read(content)
        except BrokenGguf as error:
            assert error.message.text("zh")
            return
    assert header.data_offset >= 0
    assert sum(each.bytes for each in header.tensors) <= header.data_bytes
    assert all(each.elements >= 0 and each.bytes >= 0 for each in header.tensors)


CUTS = st.lists(st.tuples(st.integers(0, len(GOOD)), st.binary(max_size=12), st.integers(0, 12)), max_size=4)
NUMBERS = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1])
WORDS = st.lists(NUMBERS | st.binary(max_size=8), max_size=60)
SCALARS: st.SearchStrategy[Any] = (
    st.integers(0, 2**32 - 1) | st.booleans() | st.floats(width=32) | st.text(max_size=8).map(str.encode)
)
METADATA = st.dictionaries(
    st.text(max_size=10), SCALARS | st.lists(st.integers(0, 9), max_size=5), max_size=6
)
TENSORS = st.dictionaries(
    st.text(max_size=10),
    st.tuples(st.sampled_from(sorted(BLOCKS)), st.lists(st.integers(0, 9), max_size=3)),
    max_size=5,
)


def mutated(cuts: list[tuple[int, bytes, int]]) -> bytes:
    content = GOOD
    for at, put, gone in cuts:
        content = content[:at] + put + content[at + gone :]
    return content


def words(drawn: list[int | bytes]) -> bytes:
    return b"".join(each if isinstance(each, bytes) else struct.pack("<Q", each) for each in drawn)


@given(CUTS)
@settings(max_examples=200, deadline=None)
def test_changed_files(cuts: list[tuple[int, bytes, int]]) -> None:
    examine(mutated(cuts))


@given(WORDS)
@settings(max_examples=200, deadline=None)
def test_any_words(drawn: list[int | bytes]) -> None:
    examine(HEAD + words(drawn))


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_bytes(content: bytes) -> None:
    examine(content)
    examine(ONE_TENSOR + content)
    examine(ONE_PAIR + content)


@given(METADATA, TENSORS)
@settings(max_examples=100, deadline=None)
def test_what_is_written_is_read(metadata: dict[str, Any], tensors: dict[str, tuple[str, list[int]]]) -> None:
    """With nothing lost; rows are made to fit their blocks."""
    fitting = {
        name or "w": (kind, [*shape[:-1], shape[-1] * BLOCKS[kind][0]] if shape else [BLOCKS[kind][0]])
        for name, (kind, shape) in tensors.items()
    }
    fitting = {name.replace("\0", "0"): each for name, each in fitting.items()}
    pairs = {key: value for key, value in metadata.items() if key and "\0" not in key}
    content = gguf(pairs, fitting)
    header = read(content)
    assert {each.name: (each.type, list(each.shape)) for each in header.tensors} == fitting
    assert list(header.metadata) == list(pairs)
    assert header.file_bytes == len(content)


@pytest.mark.slow
@given(CUTS)
@settings(max_examples=5000, deadline=None)
def test_many_changed_files(cuts: list[tuple[int, bytes, int]]) -> None:
    examine(mutated(cuts))


@pytest.mark.slow
@given(WORDS)
@settings(max_examples=3000, deadline=None)
def test_many_words(drawn: list[int | bytes]) -> None:
    examine(HEAD + words(drawn))
