"""Image-text models in Qwen's line: Qwen 2 to 3.5 VL, GLM-4V, EXAONE 4.5."""

from ..builder import ModelBuilder
from ..config import Config
from .composite import language, logits, see
from .qwen import qwen2, qwen3, qwen3_moe
from .registry import body, family

body("qwen2_vl_text", "qwen2_5_vl_text")(qwen2)
body("qwen3_vl_text")(qwen3)
body("qwen3_vl_moe_text")(qwen3_moe)


@family("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe", "glm4v", "glm4v_moe",
        "exaone4_5")  # fmt: skip
def visual(c: Config, m: ModelBuilder) -> None:
    """A tower named `visual` that merges its patches itself."""
    see(c, m, "model.visual")
    text = language(c, m)
    logits(c, m, text)
