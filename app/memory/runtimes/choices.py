"""The runtimes and their options by name: the one place that lists them."""

from typing import Final

# Versions whose rules were read in the runtime's source; the last is the default.
VLLM_VERSIONS: Final = tuple(f"0.{minor}" for minor in range(11, 34))
SGLANG_VERSIONS: Final = ("0.5.9", "0.5.23")
VERSIONS: Final[dict[str, tuple[str, ...]]] = {
    "vllm": VLLM_VERSIONS,
    "sglang": SGLANG_VERSIONS,
    "tensorrt-llm": ("1.0",),
    "tgi": ("3",),
    "transformers": ("5",),
    "llama.cpp": ("b10000",),
    "ollama": ("0.12",),
    "pytorch": ("2",),
    "fastchat": ("0.2",),
}
BACKENDS: Final = tuple(VERSIONS)
ATTENTIONS: Final = ("flash_attention_2", "flash_attention_3", "flashinfer", "sdpa", "eager")
KV_CACHE_DTYPES: Final[dict[str, tuple[str, ...]]] = {
    "vllm": ("auto", "float32", "float16", "bfloat16", "fp8", "fp8_e5m2", "nvfp4"),
    "sglang": ("auto", "float32", "float16", "bfloat16", "fp8", "fp8_e5m2"),
    "tensorrt-llm": ("auto", "float32", "float16", "bfloat16", "fp8", "int8"),
    "tgi": ("auto", "float16", "bfloat16", "fp8", "fp8_e5m2"),
    "transformers": ("auto", "float32", "float16", "bfloat16"),
    "llama.cpp": ("auto", "float32", "float16", "bfloat16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"),
    "ollama": ("auto", "float16", "q8_0", "q4_0"),
    "pytorch": ("auto", "float32", "float16", "bfloat16", "fp8"),
    "fastchat": ("auto", "float32", "float16", "bfloat16"),
}
QUESTIONS: Final = ("max_batch_size", "max_sequence_length", "max_concurrency", "min_gpus")
