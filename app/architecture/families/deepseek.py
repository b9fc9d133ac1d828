"""DeepSeek V3: latent attention, a few dense layers, then routed and shared experts."""

from ..builder import ModelBuilder
from ..blocks.latent import Latent, latent
from ..blocks.feed_forward import gated, sparse
from ..blocks.residual import pre_norm
from ..config import Config
from ..operations import Tensor
from ..trace import Trace
from .llama import activation
from .registry import decoder


@decoder("deepseek_v3")
def deepseek_v3(c: Config, m: ModelBuilder) -> None:
    """DeepSeek V3 (arXiv 2412.19437); its multi-token-prediction layers are outside the decoder."""
    heads, bias = Latent.of(c), c.flag("attention_bias")
    first = c.size("first_k_dense_replace", least=0)
    inner = c.size("moe_intermediate_size")

    def layer(t: Trace, x: Tensor, has_experts: bool) -> Tensor:
        return pre_norm(
            t,
            x,
            lambda t, x: latent(t, x, heads, bias=bias),
            lambda t, x: (
                sparse(
                    t,
                    x,
                    count=c.count("n_routed_experts"),
                    top_k=c.size("num_experts_per_tok"),
                    inner=inner,
                    shared_inner=inner * c.size("n_shared_experts", 1),
                    correction="gate.e_score_correction_bias",
                    scoring="sigmoid",
                    activation=activation(c),
                )
                if has_experts
                else gated(t, x, c.inner, activation=activation(c))
            ),
        )

    m.embed("embed_tokens", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden, kinds=lambda i: i >= first)
    m.final_norm("norm", c.hidden)
