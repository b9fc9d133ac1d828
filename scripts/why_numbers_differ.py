"""Writes docs/why-our-numbers-differ.md: for each formula that circulates, its figure, ours and the true one.

    python scripts/why_numbers_differ.py [--check]

Every figure of ours is computed here by the service itself; `--check` exits with 1 when the page on disk
is not what this script would write.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from app.api.application import create_app  # noqa: E402
from app.registry.models import ModelRegistry  # noqa: E402
from app.settings import read_settings  # noqa: E402
from app.units import GIB  # noqa: E402

PAGE = ROOT / "docs" / "why-our-numbers-differ.md"
SWEEP = "vLLM 0.19 start-up log on one H100 80 GB (llm-d-planner, accuracy/results/v0.19.0)"


@dataclass(frozen=True)
class Case:
    """One formula that circulates beside ours and the measured or counted figure."""

    title: str
    example: str
    formula: str
    theirs: float
    ours: float
    true: float
    unit: str
    source: str
    why: str

    def rows(self) -> str:
        """The case as a table."""
        lines = [
            f"## {self.title}",
            "",
            f"Example: {self.example}",
            "",
            "| | figure | off by |",
            "| --- | ---: | ---: |",
            f"| the formula: {self.formula} | {self._shown(self.theirs)} | {self._off(self.theirs)} |",
            f"| ours | {self._shown(self.ours)} | {self._off(self.ours)} |",
            f"| true | {self._shown(self.true)} | |",
            "",
            f"True figure: {self.source}.",
            "",
            self.why,
            "",
        ]
        return "\n".join(lines)

    def _shown(self, value: float) -> str:
        return f"{value:,.0f} {self.unit}" if value >= 1000 else f"{value:.2f} {self.unit}"

    def _off(self, value: float) -> str:
        percent = round(100 * (value / self.true - 1), 1)
        return f"{percent:+.1f} %" if percent else "0.0 %"


def estimate(client: FlaskClient, **values: Any) -> Mapping[str, int]:
    """The sizes of an inference estimate as the sweep's H100 runs were set up [bytes]."""
    setting = {
        "gpu": "h100-sxm-80gb",
        "backend": "vllm",
        "backend_version": "0.19",
        "sequence_length": 8192,
        "max_num_seqs": 1024,
        "max_num_batched_tokens": 8192,
        "gpu_memory_utilization": 0.95,
    }
    answer = client.post("/api/memory/inference", json={**setting, **values})
    assert answer.json and answer.status_code == 200, answer.text
    return dict(answer.json["memory_bytes"])


def cases(client: FlaskClient, models: ModelRegistry) -> Iterator[Case]:
    """Every formula, with an example that somebody measured."""
    llama = models.get("Llama-3.1-8B").architecture
    deepseek = models.get("DeepSeek-V2-Lite").architecture
    total = llama.parameters.total

    yield Case(
        "Hidden size instead of key-value heads",
        "Llama-3.1-8B, 16-bit cache, bytes per token.",
        "2 × layers × hidden size × 2 bytes",
        2 * 32 * 4096 * 2,
        llama.cache_bytes_per_token("bfloat16"),
        131_078,
        "bytes",
        f"KV pool over KV tokens in a {SWEEP}: 131,078 to 131,082, rounded pool size",
        "Grouped-query attention keeps 8 key-value heads, not 32: the cache is 2 × layers × key-value heads "
        "× head width × bytes. The head width is its own field and need not be hidden size over heads.",
    )
    yield Case(
        "A latent cache divided by tensor parallelism",
        "DeepSeek-V2-Lite's language model on two GPUs, bytes per token on each.",
        "layers × (latent + rotary) × 2 bytes / 2 GPUs",
        deepseek.cache_bytes_per_token("bfloat16") / 2,
        deepseek.cache_bytes_per_token("bfloat16"),
        31_107,
        "bytes",
        f"KV pool over KV tokens of Kimi-VL-A3B, which has the same 27 layers, at two GPUs in a {SWEEP}",
        "Every head reads the whole latent, so every rank keeps all of it. Only the heads are divided.",
    )
    qwen = estimate(client, model_name="Qwen2.5-7B-Instruct")
    yield Case(
        "Activations as 10% of the weights",
        "Qwen2.5-7B in vLLM with the defaults of an H100.",
        "0.1 × weights",
        0.1 * 14.25,
        qwen["activation_memory"] / GIB,
        2.21,
        "GiB",
        f"torch peak memory increase in a {SWEEP}",
        "The peak that vLLM profiles is mostly its sampler's: logits of `max_num_seqs` sequences over the "
        "whole vocabulary in several copies. Weights do not enter: Qwen3-0.6B peaked at 5.56 GiB over 1.12 "
        "GiB of weights in vLLM 0.11.",
    )
    small = estimate(client, model_name="Qwen3-0.6B", backend_version="0.11", gpu_memory_utilization=0.9,
                     batch_size=1, sequence_length=16384)  # fmt: skip
    yield Case(
        "Weights × 1.2 for everything",
        "Qwen3-0.6B in vLLM 0.11 on an H100: weights and activation peak, before any cache.",
        "1.2 × weights",
        1.2 * 1.12,
        (small["model_weights"] + small["activation_memory"]) / GIB,
        1.12 + 5.56,
        "GiB",
        "vLLM 0.11 start-up log on an H100 (llm-d-planner, docs/empirical-vllm-memory-results.md)",
        "What comes on top of the weights depends on the runtime, its version, the vocabulary, the batch and "
        "the length, and not on the weights.",
    )
    yield Case(
        "LoRA as 2 × rank / hidden size of the parameters",
        "Llama-3.1-8B, rank 16 on all linear modules, trainable parameters.",
        "parameters × 2 × rank / hidden size",
        total * 2 * 16 / 4096,
        llama.lora_parameters(16, "all-linear"),
        41_943_040,
        "parameters",
        "PEFT's count on the model built by transformers (a live test repeats it)",
        "An adapter adds rank × (inputs + outputs) to each chosen matrix. Embeddings and the head get none, "
        "matrices are not square, and fewer targets mean fewer parameters.",
    )
    four_bit = estimate(client, model_name="Llama-3.1-8B-Instruct", quantization="gptq")
    yield Case(
        "int4 as an eighth of everything",
        "Llama-3.1-8B, 4-bit weights in groups of 128 (w4a16), in vLLM.",
        "parameters × 4 bytes / 8",
        total / 2 / GIB,
        four_bit["model_weights"] / GIB,
        5.38,
        "GiB",
        f"weights of Meta-Llama-3.1-8B-Instruct-quantized.w4a16 in a {SWEEP}",
        "Scales and zero points come on top of the four bits, and embeddings, head and norms stay 16-bit: "
        "with a vocabulary of 128,256 those are 2.1 GB by themselves.",
    )


def page() -> str:
    """The whole page."""
    with tempfile.TemporaryDirectory() as folder:
        client = create_app(read_settings({}, data_folder=Path(folder), access_log=False)).test_client()
        written = "\n".join(case.rows() for case in cases(client, ModelRegistry()))
    intro = (
        "# Why our numbers differ\n\n"
        "Six formulas that circulate, each with an example that was measured or counted. Written by\n"
        "`scripts/why_numbers_differ.py`, which computes our figures; a test keeps this page in step.\n\n"
    )
    return intro + written.rstrip() + "\n"


if __name__ == "__main__":
    text = page()
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")
