"""Image-text models in Qwen's line: Qwen 2 to 3.5 VL, GLM-4V, EXAONE 4.5."""

from ..builder import ModelBuilder
from ..config import Config
from .composite import language, logits, see
from .glm import glm4_stack
from .glm_moe import glm4_moe
from .qwen import qwen2, qwen3
from .qwen_moe import qwen3_moe
from .registry import body, family

body("qwen2_vl_text", "qwen2_5_vl_text")(qwen2)
body("qwen2_5_omni_text")(qwen2)
body("qwen3_vl_text")(qwen3)
body("qwen3_vl_moe_text")(qwen3_moe)
body("glm4v_moe_text")(glm4_moe)
FORWARDED = {"glm4v", "glm4v_moe", "glm_ocr"}  # tied by the text's own word too


@body("qwen3_omni_moe_text")
def omni_text(c: Config, m: ModelBuilder) -> None:
    """Qwen 3 with experts; a window, where stated, holds for all layers."""
    has_window = c.get("sliding_window") is not None
    qwen3_moe(Config({**c.data, "use_sliding_window": has_window}, c.model_type, c.path), m)


@body("glm4v_text", "glm_ocr_text")
def glm4v_text(c: Config, m: ModelBuilder) -> None:
    """GLM-4's layers; GLM-4V's have biases, GLM-OCR's none."""
    glm4_stack(c, m, bias=c.model_type == "glm4v_text")


@family(
    "qwen2_vl",
    "qwen2_5_vl",
    "qwen3_vl",
    "qwen3_vl_moe",
    "qwen3_5",
    "qwen3_5_moe",
    "glm4v",
    "glm4v_moe",
    "glm_ocr",
    "glm46v",
    "glmga",
    "exaone4_5",
    "cosmos3_omni",
    "qwen4_exp",
)
def visual(c: Config, m: ModelBuilder) -> None:
    """A tower named `visual` that merges its patches itself."""
    see(c, m, "model.visual")
    text = language(c, m, flat=True)
    logits(c, m, text, tied=c.tied or (c.model_type in FORWARDED and text.flag("tie_word_embeddings")))
