"""The last lineages: totals of the real models (transformers 5.23, default configurations), and refusals."""

from __future__ import annotations

import doctest
from typing import Any

import pytest

from app.architecture import Architecture, read_config
from app.architecture.families import inkling_mm
from app.errors import DomainError, InvalidConfig

# Parameters of the library's models of these types, built from their default configurations.
TOTALS = {
    "canary": 962_155_520,
    "cohere_asr": 2_065_647_872,
    "convbert": 106_303_170,
    "dia": 1_611_160_576,
    "dots3_note": 287_309_195_008,
    "evolla": 10_390_787_344,
    "flaubert": 667_119_041,
    "fun_asr_nano": 829_791_840,
    "funnel": 131_003_706,
    "glm5_next": 313_786_889_214,
    "ibert": 109_514_298,
    "inkling_mm_model": 1_740_191_689_202,
    "luke": 314_445_435,
    "mistral_large4": 1_051_822_421_504,
    "mobilebert": 36_596_538,
    "modernvbert": 290_659_264,
    "muse_spark": 822_036_513_792,
    "musicgen": 470_291_938,
    "musicgen_melody": 369_592_802,
    "nemo_speechlm": 32_361_750_159,
    "neomme": 262_937_906,
    "perceiver": 269_319_430,
    "phi4_multimodal": 5_308_268_992,
    "pop2piano": 59_108_352,
    "speech-encoder-decoder": 232_252_858,
    "speecht5": 151_165_056,
    "squeezebert": 51_712_314,
    "ultravbert": 6_880_839_936,
    "vibevoice": 13_612_734_435,
}
SMALL = {
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 112,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def read(model_type: str, **fields: Any) -> Architecture:
    return read_config({"model_type": model_type, **fields})


@pytest.mark.parametrize("model_type", TOTALS)
def test_total_of_the_default_configuration(model_type: str) -> None:
    assert read(model_type).parameters.total == TOTALS[model_type]


def test_models_that_need_a_vocabulary_map_to_be_built() -> None:
    """Measured with `vocabulary_map` given, which says nothing about the tensors."""
    assert read("chameleon", **SMALL).parameters.total == 29_532_864
    assert read("emu3", text_config=SMALL).parameters.total == 270_849_151


def names(architecture: Architecture) -> set[str]:
    return {tensor.name for tensor in architecture.tensors()}


def test_emu3_without_its_autoencoder() -> None:
    found = names(read("emu3", architectures=["Emu3ForCausalLM"], text_config=SMALL))
    assert "model.layers.1.mlp.up_proj.weight" in found
    assert not any("vqmodel" in name for name in found)


def test_a_pixel_is_folded_into_a_patch_in_the_planned_steps() -> None:
    """The last steps of the default plan, as `plan_out_scales` lays them out."""
    shapes = {tensor.name: tuple(tensor.shape) for tensor in read("inkling_mm_model").tensors()}
    layer = "model.vision_tower.encoder_layers.{}.projection.weight"
    assert shapes[layer.format(4)] == (128, 75)
    assert shapes[layer.format(20)] == (614_400, 9600)
    assert shapes[layer.format(23)] == (6144, 614_400)


def test_docstring_examples_hold() -> None:
    assert doctest.testmod(inkling_mm).failed == 0


def test_mistral_large_4_keeps_no_latent_where_it_borrows_one() -> None:
    text = {"num_hidden_layers": 4, "no_rope_layers": [1, 1, 1, 1]}
    own = read("mistral_large4", text_config=text)
    shared = read("mistral_large4", text_config={**text, "kv_source_layers": [0, 0, 0, 0]})
    latent, index = 2 * (512 + 64), 2 * 128  # bytes of a token in bfloat16
    assert own.cache_bytes_per_token() == 4 * (latent + index)
    assert shared.cache_bytes_per_token() == latent + 4 * index


def test_diffusion_gemma_keeps_the_prompt_once() -> None:
    """The canvas side shares the weights of the prompt side and keeps no cache of its own."""
    text = {**SMALL, "head_dim": 16, "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 48}
    tied = read("diffusion_gemma", text_config=text)
    own = read("diffusion_gemma", text_config=text, tie_word_embeddings=False)
    assert "model.decoder.layers.0.self_attn.q_proj.weight" not in names(tied)
    assert "model.decoder.layers.0.self_attn.q_proj.weight" in names(own)
    assert tied.cache_bytes(1, 8) == own.cache_bytes(1, 8)


@pytest.mark.parametrize(
    ("model_type", "fields", "field"),
    [
        ("granite4_vision", {}, "deepstack_layer_map"),
        ("granite4_vision", {"deepstack_layer_map": [[0, 0]], "downsample_rate": "half"}, "downsample_rate"),
        ("deepseek_ocr2", {}, "mlp_layer_types"),
        ("diffusion_gemma", {}, "num_experts"),
        ("glm5_next", {"text_config": {"qk_rope_head_dim": 64}}, "qk_rope_head_dim"),
        ("muse_spark", {"audio_config": {"depths": [2, 2]}}, "depths"),
        ("inkling_mm_model", {"vision_config": {"patch_size": 1 << 20}}, "patch_size"),
        ("mobilebert", {"num_feedforward_networks": 10_000}, "num_feedforward_networks"),
        ("squeezebert", {"q_groups": 7}, "q_groups"),
        ("canary", {"encoder_config": {"subsampling_factor": 1 << 24}}, "subsampling_factor"),
        ("emu3", {"vq_config": {"num_res_blocks": 1000}}, "num_res_blocks"),
    ],
)
def test_impossible_configurations_name_their_field(
    model_type: str, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidConfig) as refused:
        read(model_type, **fields)
    assert any(field in problem.field for problem in refused.value.problems)


def test_qwen3_omni_whole() -> None:
    """The library's model with the two fields that its own default lacks and published files state."""
    talker = {"spatial_merge_size": 2, "text_config": {"shared_expert_intermediate_size": 768}}
    whole = read("qwen3_omni_moe", talker_config=talker)
    assert whole.parameters.total == 21_978_863_145
    assert read("qwen3_omni_moe", enable_audio_output=False).parameters.by_component.get("talker") is None
    with pytest.raises(InvalidConfig):
        read("qwen3_omni_moe")


def test_qwen_omni_speaks_unless_told_otherwise() -> None:
    """The library's model of the default configuration; what makes the sound is in 32 bits."""
    whole, silent = read("qwen2_5_omni"), read("qwen2_5_omni", enable_audio_output=False)
    assert whole.parameters.total == 18_386_365_824
    assert silent.parameters.total == whole.parameters.total - whole.parameters.by_component["talker"]
    assert {t.dtype for t in whole.tensors() if t.name.startswith("token2wav.")} == {"float32"}
    assert whole.forward_flops(1, 8) == silent.forward_flops(1, 8)
    assert whole.cache_bytes(1, 8) == silent.cache_bytes(1, 8)


def test_words_and_melody_stand_in_front_of_the_codes() -> None:
    """What transformers 5.23 keeps and PyTorch counts of 2 sequences, 40 and 80 words and codes each."""
    model = read("musicgen_melody")
    assert model.cache_bytes(3, 40, source=40) == 92_897_280
    assert model.forward_flops(2, 80, source=80) == 527_438_692_352


def test_musicgen_refuses_what_it_does_not_know() -> None:
    wrong = [
        {"text_encoder": {"model_type": "bert"}},
        {"audio_encoder": {"model_type": "dac"}},
        {"audio_encoder": {"model_type": "encodec", "norm_type": "none"}},
        {"audio_encoder": {"model_type": "encodec", "target_bandwidths": ["wide"]}},
        {"decoder": {"num_attention_heads": 7}},
    ]
    for fields in wrong:
        with pytest.raises(DomainError):
            read("musicgen", **fields)


SOUND = {
    "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "conv_dim": [16, 24], "conv_kernel": [10, 3], "conv_stride": [5, 2], "num_conv_pos_embedding_groups": 4,
}  # fmt: skip
READER = {
    "model_type": "bert", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4,
    "intermediate_size": 48, "vocab_size": 100, "is_decoder": True, "add_cross_attention": True,
}  # fmt: skip
# Kind of encoder, what it has besides, tensors of the library's model.
HEARD: list[tuple[str, dict[str, Any], int]] = [
    ("wav2vec2", {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True,
                  "adapter_attn_dim": 8}, 100),
    ("wav2vec2", {"add_adapter": True, "output_hidden_size": 40, "mask_time_prob": 0.0}, 93),
    ("wav2vec2", {"add_adapter": True}, 90),
    ("hubert", {}, 84),
    ("hubert", {"conv_pos_batch_norm": True, "feat_proj_layer_norm": False}, 86),
]  # fmt: skip


def hears(kind: str, **fields: Any) -> Architecture:
    encoder = {"model_type": kind, **SOUND, **fields}
    return read("speech-encoder-decoder", encoder=encoder, decoder=READER)


@pytest.mark.parametrize(("kind", "fields", "tensors"), HEARD)
def test_encoders_of_sound(kind: str, fields: dict[str, Any], tensors: int) -> None:
    assert len(list(hears(kind, **fields).tensors())) == tensors


def test_encoders_of_sound_that_are_refused() -> None:
    for kind, fields in (
        ("whisper", {}),
        ("wav2vec2", {"conv_stride": [5]}),
        ("wav2vec2", {"feat_extract_norm": "batch"}),
        ("wav2vec2", {"num_conv_pos_embedding_groups": 5}),
        ("wav2vec2", {"num_attention_heads": 5}),
    ):
        with pytest.raises(DomainError):
            hears(kind, **fields)
