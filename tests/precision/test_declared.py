"""Quantizations that checkpoints declare: which tensors they cover, and published totals."""

from math import prod
from typing import Any

import pytest

from app.architecture import read_config
from app.errors import DomainError, UnknownArchitecture
from app.precision.declared import declared, from_config
from app.precision.published import checkpoint_tensors
from app.precision.scheme import Scheme, weight_bytes
from tests.precision.models import config, model

SMALL = config("Qwen3-0.6B")


def covered(quantization: dict[str, Any], of: str = "Qwen3-8B") -> tuple[Scheme, set[str]]:
    scheme = from_config(quantization)
    assert scheme is not None
    architecture = model(of)
    names = {
        prefix + parameter.name
        for section in scheme.sections(architecture)
        for op, parameter in section.quantities()
        if scheme.covers(section, op, parameter)
        for prefix in section.prefixes()
    }
    return scheme, names


def test_gpt_oss_equals_its_published_index() -> None:
    """model.safetensors.index.json of openai/gpt-oss-20b: 459 tensors, total_size 13,761,264,768."""
    scheme = declared(config("gpt-oss-20b"))
    assert scheme is not None
    tensors = list(checkpoint_tensors(model("gpt-oss-20b"), scheme))
    assert (len(tensors), sum(tensor.bytes for tensor in tensors)) == (459, 13_761_264_768)
    shapes = {tensor.name: tensor.shape for tensor in tensors}
    assert shapes["model.layers.0.mlp.experts.gate_up_proj_blocks"] == (32, 5760, 90, 16)
    assert shapes["model.layers.0.mlp.experts.down_proj_scales"] == (32, 2880, 90)


def test_deepseek_v3_equals_its_published_files() -> None:
    """163 files of deepseek-ai/DeepSeek-V3 hold 688,586,727,753 bytes with their headers.

    They include a layer for multi-token prediction with its own embedding, head, projection and three
    norms; a header takes some 129 bytes a tensor.
    """
    scheme = declared(config("DeepSeek-V3"))
    assert scheme is not None
    tensors = list(checkpoint_tensors(model("DeepSeek-V3"), scheme))
    last = [tensor for tensor in tensors if tensor.name.startswith("model.layers.60.")]
    prediction = sum(tensor.bytes for tensor in last) + 2 * (2 * 129280 * 7168 + 2 * 7168**2 + 3 * 7168)
    headers = 688_586_727_753 - sum(tensor.bytes for tensor in tensors) - prediction
    assert 120 < headers / (len(tensors) + len(last) + 5) < 140


def test_wizardlm_equals_its_published_index() -> None:
    """alpindale/WizardLM-2-8x22B, total_size 281,241,268,224: Mixtral-8x22B with 32,000 words."""
    architecture = read_config({**config("Mixtral-8x22B-Instruct-v0.1"), "vocab_size": 32000})
    scheme = from_config({"quant_method": "none"})
    assert scheme is None
    assert 2 * architecture.parameters.total == 281_241_268_224


def test_none_is_declared() -> None:
    assert declared(SMALL) is None


@pytest.mark.parametrize(
    ("quantization", "name", "bits"),
    [
        ({"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": True}, "gptq", 4.632),
        ({"quant_method": "awq", "w_bit": 4, "q_group_size": 64}, "awq", 4.3125),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bnb-int8", 8),
        (
            {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True},
            "nf4-double",
            4.127,
        ),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8-block", 8.002),
        ({"quant_method": "fp8", "activation_scheme": "static"}, "fp8", 8),
        ({"quant_method": "fbgemm_fp8"}, "fp8", 8.01),
        (
            {"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 2, "group_size": 16}}},
            "hqq",
            4,
        ),
        ({"quant_method": "quanto", "weights": "int4"}, "quanto", 4.25),
        ({"quant_method": "aqlm", "linear_weights_not_to_quantize": ["lm_head.weight"]}, "aqlm", 2.3076),
        ({"quant_method": "auto-round", "bits": 4, "group_size": 128}, "auto-round", 4.156),
        ({"quant_method": "modelopt", "quant_algo": "FP8", "exclude_modules": ["lm_head"]}, "fp8", 8),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", "ignore": ["lm_head"]}, "nvfp4", 4.5),
        ({"quant_method": "eetq", "weights": "int8"}, "int8", 8),
        ({"quant_method": "torchao", "quant_type": "int8_weight_only"}, "torchao", 8),
    ],
)
def test_methods(quantization: dict[str, Any], name: str, bits: float) -> None:
    scheme, names = covered(quantization)
    wide = sum(p.size for p in model("Qwen3-8B").tensors() if p.name not in names)
    total = model("Qwen3-8B").parameters.total
    assert scheme.name == name
    assert len(names) == 7 * 36
    size = weight_bytes(model("Qwen3-8B"), scheme) - 2 * wide
    assert 8 * size / (total - wide) == pytest.approx(bits, rel=0.006)


def compressed(ignore: list[str], **weights: Any) -> dict[str, Any]:
    base = {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True, **weights}
    group = {"targets": ["Linear"], "weights": base, "input_activations": {"dynamic": True}}
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}, "ignore": ignore}


def test_compressed_tensors_take_the_head_unless_it_is_ignored() -> None:
    assert "lm_head.weight" in covered(compressed([]))[1]
    scheme, names = covered(compressed(["lm_head"]))
    assert scheme.name == "w8a8" and "lm_head.weight" not in names and len(names) == 7 * 36


@pytest.mark.parametrize(
    ("ignore", "missing"),
    [
        (["lm_head", "re:.*self_attn.*"], 4 * 36),
        (["lm_head", "model.layers.3.mlp"], 3),
        (["lm_head", "model.layers.3.mlp.gate_proj", "model.layers.35.self_attn.q_proj"], 2),
        (["lm_head", r"re:model\.layers\.1\d\.mlp\.(gate|up)_proj$"], 20),
        (["lm_head", "model.layers.1*"], 11 * 7),
    ],
)
def test_lists_of_modules_are_honoured_layer_by_layer(ignore: list[str], missing: int) -> None:
    assert len(covered(compressed(ignore))[1]) == 7 * 36 - missing


def test_patterns_name_experts_as_checkpoints_do() -> None:
    quantization = compressed(
        ["lm_head", "re:.*self_attn.*", "re:.*shared_experts.*", "re:.*mlp\\.(gate|up|down)_proj.*"]
    )
    names = covered(quantization, "DeepSeek-V3")[1]
    assert len(names) == 2 * 58 and all(".experts." in name for name in names)


def test_block_quantization_without_a_list_leaves_routers_wide() -> None:
    names = covered({"quant_method": "fp8", "weight_block_size": [128, 128]}, "DeepSeek-V3")[1]
    assert not any("mlp.gate." in name or name.startswith("lm_head") for name in names)


@pytest.mark.parametrize(
    "quantization",
    [
        {"quant_method": "vptq"},
        {"quant_method": "exl3", "bits": 3.5},
        {"bits": 4},
        {"quant_method": "torchao", "quant_type": "uintx_weight_only"},
        {"quant_method": "modelopt", "quant_algo": "W2A1"},
        {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"},
        {"quant_method": "compressed-tensors", "config_groups": {}},
        compressed(["lm_head"], num_bits=16),
        {"quant_method": "compressed-tensors", "sparsity_config": {"format": "sparse-24-bitmask"}},
    ],
)
def test_what_is_not_covered_is_an_error_that_says_so(quantization: dict[str, Any]) -> None:
    with pytest.raises(UnknownArchitecture) as raised:
        from_config(quantization)
    assert raised.value.text("en") != raised.value.text("zh")


@pytest.mark.parametrize(
    "quantization",
    [
        {"quant_method": "gptq", "bits": "four"},
        {"quant_method": "gptq", "bits": 4, "group_size": -7},
        {"quant_method": "fp8", "weight_block_size": [0, 128]},
        {"quant_method": "fp8", "weight_block_size": 128},
        {"quant_method": "awq", "bits": True},
    ],
)
def test_impossible_values_are_refused(quantization: dict[str, Any]) -> None:
    with pytest.raises(DomainError):
        from_config(quantization)


def test_hostile_patterns_cost_nothing() -> None:
    hostile = [
        "re:(a+)+$",
        "re:" + "(.*a){20}",
        "re:" + ".*" * 100 + "x",
        "re:[",
        "re:((((",
        "re:a{999999999}",
    ]
    _, names = covered(compressed(hostile))
    assert len(names) == 7 * 36 + 1


def test_qwen3_32b_fp8_equals_the_hub_by_data_type() -> None:
    """The hub's safetensors counts of Qwen/Qwen3-32B-FP8: scales stand in bfloat16."""
    scheme = declared(config("Qwen3-32B-FP8"))
    assert scheme is not None
    counts: dict[str, int] = {}
    for tensor in checkpoint_tensors(model("Qwen3-32B-FP8"), scheme):
        counts[tensor.dtype] = counts.get(tensor.dtype, 0) + prod(tensor.shape)
    assert counts == {"bfloat16": 1_558_406_144, "fp8": 31_205_621_760}


def test_gpt_oss_120b_equals_its_published_tensor_bytes() -> None:
    """openai/gpt-oss-120b: 65,248,815,744 bytes of tensors."""
    scheme = declared(config("gpt-oss-120b"))
    assert scheme is not None
    assert weight_bytes(model("gpt-oss-120b"), scheme) == 65_248_815_744
