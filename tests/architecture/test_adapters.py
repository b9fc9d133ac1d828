"""What adapters add: modules by name, heads left out, stacked experts as PEFT takes them."""

import pytest

from app.architecture import read_config

LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 100,
}
# a mixture of 4 experts: 6 layers, hidden 128, inner 208
MIXTRAL = {
    "model_type": "mixtral",
    "hidden_size": 128,
    "intermediate_size": 208,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 32,
    "num_local_experts": 4,
    "vocab_size": 320,
}
ATTENTION = 4 * (64 + 64)  # of one layer, for each rank


@pytest.mark.parametrize(
    ("targets", "per_layer"),
    [
        ("all-linear", ATTENTION + 3 * (64 + 128)),
        (["q_proj", "v_proj"], ATTENTION // 2),
        (["self_attn.q_proj"], ATTENTION // 4),
        ("q_proj", ATTENTION // 4),
        (["nowhere"], 0),
        (["layers.0.self_attn.q_proj"], ATTENTION // 8),  # one of the two layers
        (["model.layers.1.self_attn.q_proj", "v_proj"], ATTENTION // 8 + ATTENTION // 4),
        (["layers.2.self_attn.q_proj"], 0),
    ],
)
def test_modules_by_name(targets: str | list[str], per_layer: int) -> None:
    assert read_config(LLAMA).lora_parameters(8, targets) == 8 * 2 * per_layer


def test_names_of_former_expert_modules_mean_the_stacked_parameters() -> None:
    """328 896 is what PEFT 0.20 makes of this model, rank 8, `all-linear`."""
    mixtral = read_config(MIXTRAL)
    attention = 8 * 6 * 4 * (128 + 128)
    router = 8 * 6 * (4 + 128)
    up = 2 * 8 * 6 * 4 * (128 + 2 * 208)  # gate and up in one tensor, with twice the rank
    down = 8 * 6 * 4 * (208 + 128)
    assert mixtral.lora_parameters(8, "all-linear") == attention + router + up + down == 328_896
    assert mixtral.lora_parameters(8, ["q_proj", "w2"]) == attention // 4 + down


def test_adapters_of_passes_that_share_a_module_are_counted_once() -> None:
    looped = {"model_type": "hrm_text", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
              "head_dim": 16, "H_cycles": 2, "L_cycles": 3, "vocab_size": 100}  # fmt: skip
    assert read_config(looped).lora_parameters(1, ["q_proj"]) == 2 * 2 * (64 + 64)
