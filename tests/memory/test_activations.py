"""Widths of a forward pass on one rank."""

from app.memory.activations import widths
from app.parallelism import Layout, stages

from .models import architecture


def test_a_gated_block_is_three_inner_widths() -> None:
    model = architecture("Llama-3.1-8B")
    stage = stages(model.sections, 1)[0]
    assert widths(model, Layout(), stage).feed_forward == 3 * 14336
    assert widths(model, Layout(tensor=4), stage).feed_forward == 3 * 14336 // 4


def test_latent_attention_accumulates_the_latent_for_every_head() -> None:
    model = architecture("DeepSeek-V3")
    found = widths(model, Layout(tensor=8), stages(model.sections, 1)[0])
    assert (found.attended, found.latent, found.top_k, found.expert_width) == (16 * 512, True, 8, 256)
