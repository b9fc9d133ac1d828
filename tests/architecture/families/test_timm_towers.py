"""Models whose tower is one of the timm package's: totals and counts of the real modules, and refusals."""

from __future__ import annotations

from typing import Any

import pytest

from app.architecture import Architecture, read_config
from app.architecture.extents import Extents
from app.architecture.flops import forward_flops
from app.errors import DomainError, InvalidConfig, UnknownArchitecture

TEXT = {
    "model_type": "llama", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4,
    "intermediate_size": 48, "vocab_size": 100,
}  # fmt: skip
# Whole models of the library's defaults (transformers 5.23, timm 1.0.31).
TOTALS = {"gemma3n": 7_818_517_072, "fast_vlm": 7_762_651_744}
# Tensors of the encoder, the projector and one layer of text, by the encoder's name in timm.
ENCODERS = {
    "vit_pe_core_tiny_patch16_384": (192, 167),
    "vit_pe_core_base_patch16_224": (768, 167),
    "vit_pe_lang_large_patch14_448": (1024, 343),
    "vit_pe_lang_gigantic_patch14_448": (1536, 678),
}


def perception(architecture: str = "vit_pe_core_large_patch14_336", **args: Any) -> Architecture:
    made = {"embed_dim": 64, "img_size": [56, 56], "depth": 2, "global_pool": ""} | args
    vision = {"model_type": "timm_wrapper", "architecture": architecture, "model_args": made}
    return read_config({"model_type": "perception_lm", "vision_config": vision, "text_config": TEXT})


@pytest.mark.parametrize("model_type", TOTALS)
def test_total_of_the_default_configuration(model_type: str) -> None:
    assert read_config({"model_type": model_type}).parameters.total == TOTALS[model_type]


def test_a_picture_in_gemma_3n() -> None:
    """What PyTorch counts for one picture of 768 x 768 through mobilenetv5_300m_enc."""
    model = read_config({"model_type": "gemma3n"})
    one = Extents(1, 1, patches=model.notes["image"]["patches"], images=1)
    assert forward_flops(model.of("vision"), one) == 871_482_949_632
    assert model.notes["image"]["tokens"] == 256


def test_a_picture_in_fast_vlm() -> None:
    """1024 x 1024 through fastvit_mci3: PyTorch counts 486 707 822 592, of which some scores are left out."""
    model = read_config({"model_type": "fast_vlm"})
    one = Extents(1, 1, patches=model.notes["image"]["patches"], images=1)
    assert forward_flops(model.of("vision"), one) == pytest.approx(486_707_822_592, rel=0.02)


@pytest.mark.parametrize("name", ENCODERS)
def test_names_tell_an_encoder(name: str) -> None:
    width, count = ENCODERS[name]
    core = {"global_pool": ""} if "core" in name else {}
    vision = {
        "model_type": "timm_wrapper",
        "architecture": name,
        "model_args": {"embed_dim": width} | core,
    }
    model = read_config({"model_type": "perception_lm", "vision_config": vision, "text_config": TEXT})
    assert len(list(model.tensors())) == count


def test_arguments_overrule_the_name() -> None:
    names = [tensor.name for tensor in perception(class_token=False, init_values=0.1).tensors()]
    assert "model.vision_tower.timm_model.cls_token" not in names
    assert "model.vision_tower.timm_model.blocks.1.gamma_2" in names
    assert "model.vision_tower.timm_model.norm.weight" in names
    assert perception().notes["image"] == {"size": (56, 56), "patches": 17, "tokens": 16}


def test_patches_are_averaged() -> None:
    config = {
        "model_type": "perception_lm",
        "projector_pooling_ratio": 2,
        "text_config": TEXT,
        "vision_config": {
            "model_type": "timm_wrapper",
            "architecture": "vit_pe_lang_large_patch14_448",
            "model_args": {"embed_dim": 1024},
        },
    }
    assert read_config(config).notes["image"]["tokens"] == 16 * 16


WRONG = [
    ({"num_heads": 7}, InvalidConfig),
    ({"depth": 0}, InvalidConfig),
    ({"img_size": "large"}, InvalidConfig),
    ({"global_pool": "map"}, UnknownArchitecture),
    ({"swiglu_mlp": True}, UnknownArchitecture),
    ({"embed_dim": None}, DomainError),
    ({"architecture": "resnet50"}, UnknownArchitecture),
]


@pytest.mark.parametrize(("args", "error"), WRONG)
def test_what_is_not_described_is_refused(args: dict[str, Any], error: type[DomainError]) -> None:
    with pytest.raises(error):
        perception(**args)


def test_other_encoders_of_gemma_3n_are_refused() -> None:
    for vision in ({"architecture": "mobilenetv5_base"}, {"model_args": {"in_chans": 1}}):
        with pytest.raises(UnknownArchitecture):
            read_config({"model_type": "gemma3n", "vision_config": vision})


def test_a_bad_stem_of_sound_is_refused() -> None:
    narrow = {"input_feat_size": 1, "sscp_conv_kernel_size": [[3, 9], [3, 3]]}
    for audio in ({"sscp_conv_channel_size": [128]}, narrow, {"conf_num_attention_heads": 7}):
        with pytest.raises(InvalidConfig):
            read_config({"model_type": "gemma3n", "audio_config": audio})
