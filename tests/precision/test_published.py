"""Names, shapes and sizes of published checkpoints."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from app.architecture import Architecture, read_config
from app.architecture.families import FAMILIES
from app.precision import schemes
from app.precision.declared import declared
from app.precision.published import checkpoint_tensors
from app.precision.scheme import weight_bytes
from tests.golden import architectures, digest
from tests.golden import published as golden_names

MODELS = Path(__file__).parents[2] / "configs" / "models"


@cache
def config(name: str) -> dict[str, Any]:
    return dict(json.loads((MODELS / name / "config.json").read_text()))


def published(name: str, scheme: str = "none") -> dict[str, tuple[int, ...]]:
    architecture = read_config(config(name))
    return {tensor.name: tensor.shape for tensor in checkpoint_tensors(architecture, schemes.get(scheme))}


@pytest.mark.parametrize(
    ("name", "tensor", "shape"),
    [
        ("Mixtral-8x7B-v0.1", "model.layers.31.block_sparse_moe.experts.7.w2.weight", (4096, 14336)),
        ("Mixtral-8x7B-v0.1", "model.layers.0.block_sparse_moe.experts.0.w1.weight", (14336, 4096)),
        ("Mixtral-8x7B-v0.1", "model.layers.0.block_sparse_moe.gate.weight", (8, 4096)),
        ("Qwen3-30B-A3B", "model.layers.3.mlp.experts.17.gate_proj.weight", (768, 2048)),
        ("DeepSeek-V3", "model.layers.60.mlp.experts.255.down_proj.weight", (7168, 2048)),
        ("DeepSeek-V3", "model.layers.3.mlp.gate.e_score_correction_bias", (256,)),
        ("gpt-oss-20b", "model.layers.0.mlp.experts.gate_up_proj", (32, 2880, 5760)),
        ("pythia-160m", "embed_out.weight", (50304, 768)),
        ("snowflake-arctic-instruct", "model.layers.0.block_sparse_moe.experts.127.w3.weight", (4864, 7168)),
        ("MiniMax-Text-01", "model.layers.7.block_sparse_moe.experts.31.w2.weight", (6144, 9216)),
        ("internlm2-7b", "model.layers.0.attention.wqkv.weight", (6144, 4096)),
        ("Qwen-7B", "transformer.h.31.mlp.w1.weight", (11008, 4096)),
        ("chatglm3-6b", "transformer.encoder.layers.0.mlp.dense_h_to_4h.weight", (27392, 4096)),
        ("EXAONE-3.5-7.8B-Instruct", "transformer.h.0.mlp.c_fc_1.weight", (14336, 4096)),
    ],
)
def test_published_names(name: str, tensor: str, shape: tuple[int, ...]) -> None:
    assert published(name)[tensor] == shape


def test_no_stack_of_experts_is_left_where_single_ones_are_published() -> None:
    names = published("Qwen3-30B-A3B")
    assert sum(".experts." in name for name in names) == 48 * 128 * 3
    assert not any(name.endswith(("gate_up_proj", "experts.down_proj")) for name in names)


@pytest.mark.parametrize(
    "name", ["Mixtral-8x7B-v0.1", "Qwen3-30B-A3B", "DeepSeek-V2-Lite", "gpt-oss-20b", "gpt2"]
)
@pytest.mark.parametrize("scheme", ["none", "gptq", "fp8", "nf4", "mxfp4", "q4_k_m"])
def test_bytes_add_up_to_the_model(name: str, scheme: str) -> None:
    """Tensor by tensor or by symbolic counts: the same sum, but for rounding of blocks."""
    architecture = read_config(config(name))
    tensors = list(checkpoint_tensors(architecture, schemes.get(scheme)))
    assert sum(tensor.bytes for tensor in tensors) == weight_bytes(architecture, schemes.get(scheme))
    assert len({tensor.name for tensor in tensors}) == len(tensors)


def test_quantized_experts_are_named_one_by_one() -> None:
    own = declared(config("DeepSeek-V3"))
    assert own is not None
    architecture: Architecture = read_config(config("DeepSeek-V3"))
    tensors = {tensor.name: tensor for tensor in checkpoint_tensors(architecture, own)}
    scale = tensors["model.layers.3.mlp.experts.0.gate_proj.weight_scale_inv"]
    assert (scale.shape, scale.dtype, scale.bytes) == ((16, 56), "float32", 16 * 56 * 4)
    assert tensors["model.layers.3.mlp.gate.weight"].dtype == "bfloat16"


# What transformers writes back is not what was published (or the other way round): ours follow the files.
OTHERWISE = {
    "deepseek_v4": "published without the prefix `model.`",
    "kimi_linear": "written back with dense layers under `block_sparse_moe` too",
    "kimi_k25": "written back with the language model's `layers` as `blocks`",
    "inkling2_text": "not described: published with the layers' queries in one list, indices shifted",
    # Module names: what renames these wrappers and towers is not written down yet.
    **dict.fromkeys(
        (
            "dots3_note",
            "ernie4_5_vl_moe",
            "glm5_next",
            "inkling2",
            "inkling_mm_model",
            "mistral_large4",
            "molmo2",
            "ultravbert",
            "chameleon",
            "emu3",
            "canary",
            "cohere_asr",
            "fun_asr_nano",
            "nemo_speechlm",
        ),
        "its own names are not described yet",
    ),
    "esm": "written back with the older names of norms, gamma and beta",
    "pi0": "written back with the language model's modules below `model` twice",
    "qianfan_ocr": "written back with the language model's layers below `encoder` too",
    "olmo_hybrid": "written back with convolutions cut in thirds, whatever their widths",
}
RENAMED = [
    (model_type, index)
    for model_type, digests in golden_names().items()
    for index, wanted in enumerate(digests)
    if wanted and 0 < index < 4 and model_type in FAMILIES and model_type not in OTHERWISE
]


@pytest.mark.parametrize(("model_type", "index"), RENAMED)
def test_names_and_shapes_that_transformers_writes_back(model_type: str, index: int) -> None:
    case = architectures()["types"][model_type][index]
    architecture = read_config(case["config"] | {"architectures": [case["class"]]})
    tensors = checkpoint_tensors(architecture, schemes.get("none"))
    listed = case["tied"]  # second name of a tied tensor → the name that the library lists it under
    found = digest((listed.get(tensor.name, tensor.name), tensor.shape, True) for tensor in tensors)
    assert found == golden_names()[model_type][index]
