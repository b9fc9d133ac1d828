"""What vLLM's profile run finds: the peak of a dummy forward and sampler pass, by version.

Sources: vLLM `v1/worker/gpu_model_runner.py` (`profile_run`, `_dummy_run`, `_dummy_sampler_run`),
`v1/sample/ops/topk_topp_sampler.py`, `model_executor/layers/fused_moe` (`workspace_shapes`).
"""

from typing import Final, NamedTuple

from ...lanes import entry, least, most, up_to
from ..activations import Widths
from .device import Device

MIB: Final = 2**20
POWERS: Final = tuple(2**power for power in range(21))


class Profile(NamedTuple):
    """The parts of the peak [bytes]: `total` = max(forward, sampler) + what stays for good."""

    forward: int
    sampler: int
    experts: int
    multimodal: int
    workspace: int

    @property
    def total(self) -> int:
        """What the log prints as the activation peak."""
        return most(self.forward, self.sampler) + self.experts + self.multimodal + self.workspace


class Run(NamedTuple):
    """What the profile run runs at: tokens, sequences, and the version of the engine."""

    minor: int
    tokens: int
    sequences: int
    second_runner: bool
    element: int = 2


def sampler_bytes(run: Run, widths: Widths, device: Device) -> int:
    """The sampler pass on min(S, T) rows over the whole vocabulary, hidden states still alive.

    Up to 0.16 `torch.sort` takes 38 bytes per row and entry; from 0.17 top-k and top-p work in place in
    Triton (14 bytes and one float32 row per program); from 0.21 in FlashInfer; the second runner copies
    less (6, then 2 bytes; 14 again in 0.33).
    """
    rows, vocabulary = least(run.sequences, run.tokens), widths.vocabulary
    alive = run.element * run.tokens * widths.hidden
    gathered = (1 if run.second_runner else 2) * run.element * rows * widths.hidden
    per_entry, extra = _sampler_rule(run, rows, vocabulary, device)
    return per_entry * rows * vocabulary + extra + alive + gathered


def _sampler_rule(run: Run, rows: int, vocabulary: int, device: Device) -> tuple[int, int]:
    """Bytes per row and vocabulary entry, and bytes beside them."""
    if run.second_runner:
        if run.minor >= 33:
            return 14, 0
        return (2, 0) if run.minor == 26 or run.minor >= 28 else (6, 0)
    if run.minor <= 16:
        return 38, 0
    if run.minor <= 20:
        programs = device.multiprocessors
        return 14, 4 * vocabulary * least(_next_power(least(programs, rows)), programs)
    return 14, MIB


def _next_power(value: int) -> int:
    """The least power of two that is no smaller."""
    return entry(POWERS, up_to(POWERS, value - 1))


def forward_bytes(run: Run, widths: Widths, dynamic_8_bit: bool) -> int:
    """One layer at T tokens: gate, up and their product, and four tensors as wide as the model.

    With activations quantized on the fly, their 8-bit copy of the product stands beside.
    """
    wide = max(widths.feed_forward, widths.attention)
    copied = widths.feed_forward // 3 if dynamic_8_bit else 0
    return run.element * run.tokens * (wide + 4 * widths.hidden) + run.tokens * copied


def experts_workspace(run: Run, widths: Widths, own_kernels: bool) -> int:
    """Scratch of the fused experts, one for all layers; kept by a shared manager from 0.14 on.

    `TritonExperts.workspace_shapes`: tokens x top_k rows of max(N / 2, hidden) and of max(N, hidden), with
    N the outputs of the first product. `own_kernels` (gpt-oss on Hopper) keep none.
    """
    if not widths.experts or own_kernels or run.minor < 14:
        return 0
    wide = widths.expert_width * (2 if widths.expert_gated else 1)
    rows = run.tokens * widths.top_k
    return run.element * rows * (max(wide // 2, widths.hidden) + max(wide, widths.hidden))


def profile(
    run: Run,
    widths: Widths,
    device: Device,
    *,
    samples: bool,
    own_kernels: bool,
    dynamic_8_bit: bool,
    multimodal: int,
) -> Profile:
    """The whole run on one rank; only a stage that `samples` has logits."""
    return Profile(
        forward_bytes(run, widths, dynamic_8_bit),
        sampler_bytes(run, widths, device) if samples else 0,
        experts_workspace(run, widths, own_kernels),
        multimodal,
        device.cublas_workspace if run.minor < 33 else 0,
    )
