"""The activation table of arXiv 2205.05198, Reducing Activation Recomputation in Large Transformer Models."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from app.architecture import read_config
from app.memory.training.layers import Place, measure
from app.memory.training.mode import MEGATRON, Mode
from app.memory.training.sizes import coefficients, value
from app.parallelism import Layout

LENGTH = 2048
MODELS = {
    "22B": (64, 6144, 8, 4),
    "175B": (96, 12288, 8, 1),
    "530B": (128, 20480, 8, 1),
    "1T": (160, 25600, 8, 1),
}  # heads, hidden size, tensor parallel, micro-batch
Formula = Callable[[float, float, float], float]
RECIPES: dict[str, tuple[dict[str, object], Formula]] = {
    "tensor parallel": ({}, lambda t, core, h: 10 + 24 / t + core / t),
    "sequence parallel": ({"sequence_parallel": True}, lambda t, core, h: (34 + core) / t),
    "selective": ({"checkpointing": "selective"}, lambda t, core, h: 10 + 24 / t),
    "selective, sequence parallel": (
        {"checkpointing": "selective", "sequence_parallel": True},
        lambda t, core, h: 34 / t,
    ),
    "full": ({"checkpointing": "full"}, lambda t, core, h: 2),
}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", MODELS)
def test_bytes_per_layer(name: str, recipe: str) -> None:
    heads, hidden, ranks, batch = MODELS[name]
    architecture = read_config(
        {"model_type": "gpt2", "n_embd": hidden, "n_layer": 2, "n_head": heads, "vocab_size": 51200,
         "activation_function": "gelu", "n_positions": LENGTH}
    )  # fmt: skip
    layer = next(section for section in architecture.sections if section.component == "decoder")
    options, formula = RECIPES[recipe]
    mode = Mode(attention="eager", kernels=MEGATRON, single=batch == 1, layout=Layout(tensor=ranks))
    mode = replace(mode, **options)  # type: ignore[arg-type]
    kept = value(coefficients(measure(Place(layer, True, True), mode).kept), batch, LENGTH)
    per_token = formula(ranks, 5 * heads * LENGTH / hidden, hidden)
    assert kept == pytest.approx(per_token * LENGTH * batch * hidden, rel=0.001)
