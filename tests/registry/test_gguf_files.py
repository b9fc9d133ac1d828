"""A model's GGUF files: parts belong together, sizes add up, files on this machine are read as they are."""

from pathlib import Path
from typing import Any

import pytest

from app.errors import InvalidRequest
from app.registry.gguf import BrokenGguf, read_header
from app.registry.gguf_files import GgufModel, checked_file, joined, parts_of, read_file

from .gguf_writer import gguf, llama


def split(parts: int = 3, **first: Any) -> list[bytes]:
    """A file and what `gguf-split` makes of it: metadata in the first, tensors in all."""
    metadata, tensors = llama(kinds={"attn_v": "Q6_K"})
    names = list(tensors)
    size = -(-len(names) // parts)
    found = []
    for number in range(parts):
        own = {"split.no": number, "split.count": parts, "split.tensors.count": len(names)}
        inside = {name: tensors[name] for name in names[number * size : (number + 1) * size]}
        found.append(gguf((metadata if number == 0 else {}) | own | (first if number == 0 else {}), inside))
    return found


def model_of(contents: list[bytes]) -> GgufModel:
    return joined([
        (name, read_header(lambda at, size, content=content: content[at : at + size], name))
        for name, content in zip(names(len(contents)), contents, strict=True)
    ])  # fmt: skip


def names(count: int) -> list[str]:
    return parts_of(f"a/x-00001-of-{count:05}.gguf")


def test_parts_add_up_to_the_whole() -> None:
    whole, parts = model_of([gguf(*llama(kinds={"attn_v": "Q6_K"}))]), model_of(split())
    assert (parts.name, parts.file, len(parts.headers)) == ("x", "a/x-00001-of-00003.gguf", 3)
    assert (parts.bytes, len(parts.tensors)) == (whole.bytes, len(whole.tensors))
    assert parts.file_bytes == sum(map(len, split()))
    assert parts.summary()["types"] == whole.summary()["types"]
    assert (parts.architecture, parts.file_type, parts.context_length) == ("llama", "q4_k_m", 512)


@pytest.mark.parametrize(
    "contents",
    [
        [split()[0], split()[2], split()[1]],
        [split()[0], split()[1], split()[1]],
        [split()[0], split(2)[1], split()[2]],
        split()[:2],
        split(**{"split.tensors.count": 1}),
        split(**{"split.tensors.count": "many"}),
        split(**{"split.no": 1}),
        [gguf(*llama())] * 2,
    ],
)
def test_parts_of_different_models_are_refused(contents: list[bytes]) -> None:
    with pytest.raises(BrokenGguf) as error:
        model_of(contents)
    assert error.value.message.code == "gguf_parts"


def test_the_names_of_parts() -> None:
    assert parts_of("a/x-Q4.gguf") == ["a/x-Q4.gguf"]
    assert parts_of("x-00002-of-00003.gguf") == [f"x-0000{each}-of-00003.gguf" for each in (1, 2, 3)]


@pytest.mark.parametrize("file", ["x-00000-of-00002.gguf", "x-00003-of-00002.gguf", "x-00001-of-99999.gguf"])
def test_impossible_parts_are_refused(file: str) -> None:
    with pytest.raises(InvalidRequest):
        parts_of(file)


@pytest.mark.parametrize(
    "file", ["", ".gguf", "x.bin", "../x.gguf", "a/../x.gguf", "/x.gguf", "a//x.gguf", "x y.gguf", "x.gguf\n",
             "a\\x.gguf", "x%2f.gguf", "http://h/x.gguf", "x?.gguf", "x" * 300 + ".gguf"]
)  # fmt: skip
def test_what_is_no_file_of_a_repository_is_refused(file: str) -> None:
    with pytest.raises(InvalidRequest):
        checked_file(file)


def test_texts_and_arrays_are_shown_short() -> None:
    shown = model_of([gguf({"a": "x" * 900, "b": [1] * 5, "c": 2} | {f"k{i}": i for i in range(500)}, {})])
    metadata = shown.summary()["metadata"]
    assert metadata["a"] == "x" * 256 + "…"
    assert (metadata["b"], metadata["c"], len(metadata)) == ({"length": 5}, 2, 256)


def test_a_file_on_this_machine(tmp_path: Path) -> None:
    for number, content in enumerate(split(), start=1):
        (tmp_path / f"x-{number:05}-of-00003.gguf").write_bytes(content)
    found = read_file(tmp_path / "x-00002-of-00003.gguf")
    assert (found.name, len(found.headers)) == ("x", 3)
    assert found.file_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "gguf_no_file"),
        (b"not one", "gguf_no_magic"),
        (gguf(*llama())[:-40], "gguf_data_cut_short"),
        (gguf(*llama())[:99], "gguf_cut_short"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None, code: str) -> None:
    path = tmp_path / "x.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidRequest) as error:
        read_file(path)
    assert error.value.message.code == code
    assert all("x.gguf" in error.value.text(language) for language in ("en", "zh"))  # type: ignore[arg-type]
