"""GGUF tables, and files as llama.cpp's own Python package writes them."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from app.precision.gguf_types import BLOCKS, FILE_TYPE_NUMBERS, TYPE_NUMBERS
from app.registry.gguf import Array
from app.registry.gguf_files import read_file
from tests.registry.gguf_writer import gguf as written
from tests.registry.gguf_writer import llama


def test_the_tables_are_those_of_the_package() -> None:
    """Newer versions of the package may have more than we know, never others."""
    assert {
        kind.name: gguf.GGML_QUANT_SIZES[kind] for kind in gguf.GGMLQuantizationType
    }.items() >= BLOCKS.items()
    assert {kind.value: kind.name for kind in gguf.GGMLQuantizationType}.items() >= TYPE_NUMBERS.items()
    names = {kind.value: kind.name.partition("_")[2].lower() for kind in gguf.LlamaFileType}
    assert names.items() >= FILE_TYPE_NUMBERS.items()


@pytest.mark.parametrize("alignment", [None, 8, 64, 4096])
@pytest.mark.parametrize("kind", sorted(BLOCKS))
def test_what_the_package_writes_is_read(tmp_path: Path, kind: str, alignment: int | None) -> None:
    path = tmp_path / "x.gguf"
    writer: Any = gguf.GGUFWriter(path, "llama")
    if alignment:
        writer.add_custom_alignment(alignment)
    writer.add_block_count(3)
    writer.add_token_list([f"word {index}" for index in range(5000)])
    writer.add_array("a.layers", [1, 2, 3])
    elements, size = BLOCKS[kind]
    shapes = {"odd": [3, elements], "more": [2, 5, 4 * elements]}
    for name, shape in shapes.items():
        blocks = np.zeros([*shape[:-1], shape[-1] // elements * size], dtype=np.uint8)
        writer.add_tensor(name, blocks, raw_dtype=gguf.GGMLQuantizationType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = read_file(path)
    assert {each.name: list(each.shape) for each in found.tensors} == shapes
    assert {each.type for each in found.tensors} == {kind}
    assert found.file_bytes == path.stat().st_size
    assert found.metadata["llama.block_count"] == 3
    assert found.metadata["a.layers"] == Array(3, (1, 2, 3))
    assert found.metadata["tokenizer.ggml.tokens"] == Array(5000)


def test_what_we_write_for_tests_the_package_reads(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(written(*llama(kinds={"attn_v": "Q6_K", "ffn_down": "IQ4_XS"})))
    theirs, ours = gguf.GGUFReader(path), read_file(path)
    assert [(each.name, int(each.n_bytes), int(each.n_elements)) for each in theirs.tensors] == [
        (each.name, each.bytes, each.elements) for each in ours.tensors
    ]
    start = ours.headers[0][1].data_offset
    assert [int(each.data_offset) - start for each in theirs.tensors] == [
        each.offset for each in ours.tensors
    ]
