"""Pictures: tokens by the processors' own rules, and the encoder's memory."""

import pytest

from app.errors import InvalidRequest
from app.memory.inference import estimate_inference
from app.memory.pictures import picture
from app.memory.requests import Images, InferenceRequest

from .models import architecture, ask


# Tokens that the image processors of transformers make of a picture of this size.
@pytest.mark.parametrize(
    ("name", "size", "tokens"),
    [
        ("Qwen2.5-VL-7B-Instruct", (1024, 1024), 37 * 37),
        ("Qwen2.5-VL-7B-Instruct", (640, 480), 23 * 17),
        ("Qwen3-VL-2B-Instruct", (1024, 1024), 32 * 32),
        ("llava-1.5-13b-hf", (1024, 1024), 576),
        ("gemma-3-12b-it", (300, 200), 256),
        ("Llama-4-Maverick-17B-128E-Instruct", (336, 336), 144),
        ("InternVL3-2B-hf", (448, 448), 256),
        ("Llama-3.2-11B-Vision-Instruct", (560, 560), 1),  # attended to across
    ],
)
def test_tokens_of_a_picture(name: str, size: tuple[int, int], tokens: int) -> None:
    found = picture(architecture(name), *size)
    assert found is not None
    assert found.tokens == tokens
    assert not found.tiled


def test_a_very_large_picture_is_scaled_down() -> None:
    found = picture(architecture("Qwen2.5-VL-7B-Instruct"), 20000, 10000)
    assert found is not None
    assert 16000 < found.tokens <= 16500


def seeing(backend: str, images: Images | None, **fields: object) -> InferenceRequest:
    return ask(
        "Qwen2.5-VL-7B-Instruct", backend=backend, images=images, **({"sequence_length": 4096} | fields)
    )


def activation(request: InferenceRequest) -> int:
    return estimate_inference(request).ranks[0].sizes["activation_memory"]


def test_transformers_holds_the_encoder_s_widest_step() -> None:
    none, one = (
        activation(seeing("transformers", images, sequence_length=1200))
        for images in (None, Images(1, 896, 896))
    )
    four = activation(seeing("transformers", Images(1, 1792, 1792), sequence_length=5000))
    assert none <= one < four


def test_vllm_reserves_for_the_largest_picture_already() -> None:
    small, large = (seeing("vllm", Images(1, side, side)) for side in (280, 1400))
    assert activation(small) == activation(large) == activation(seeing("vllm", None))
    assert "image_profiled" in {message.code for message in estimate_inference(small).warnings}


def test_the_answer_tells_the_tokens() -> None:
    found = estimate_inference(seeing("vllm", Images(2, 1024, 1024))).extra["images"]
    assert found == {"tokens_each": 1369, "patches_each": 5476, "tokens": 2738}


@pytest.mark.parametrize(
    ("name", "images"), [("Qwen3-8B", Images()), ("Qwen2.5-VL-7B-Instruct", Images(4, 1024, 1024))]
)
def test_pictures_that_cannot_be(name: str, images: Images) -> None:
    with pytest.raises(InvalidRequest) as refused:
        estimate_inference(ask(name, images=images, sequence_length=4096))
    assert refused.value.problems[0].field == "images"


def test_tiles_are_said() -> None:
    found = estimate_inference(ask("llava-v1.6-mistral-7b-hf", images=Images(1, 1344, 1008)))
    assert "image_tiled" in {message.code for message in found.warnings}
