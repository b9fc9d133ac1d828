"""State-space layers beside attention: Jamba, Bamba, Falcon-H1, Granite 4, Nemotron-H."""

from collections.abc import Callable, Hashable
from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import fused_experts, fused_gated, plain, router
from ..blocks.recurrent import Mamba, Mamba2, mamba, mamba2
from ..blocks.residual import pre_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Tensor
from ..trace import Trace
from .mamba import inner_width, step_rank
from .mixtures import Half, chosen, dense, experts, kinds, layers, named
from .registry import decoder, scaled


def state_space_dual(c: Config, inner: int, **options: object) -> Mamba2:
    """A Mamba-2 mixer by the field names that begin with `mamba_`."""
    heads, groups = c.size("mamba_n_heads"), c.size("mamba_n_groups")
    stated = c.get("mamba_d_head", "auto")
    head_dim = inner // heads if stated == "auto" else c.size("mamba_d_head")
    if head_dim * heads != inner:
        raise c.wrong("mamba_d_head", "config_not_divisible", value=head_dim, of=inner)
    if heads % groups:
        raise c.wrong("mamba_n_groups", "config_not_divisible", value=groups, of=heads)
    return Mamba2(
        inner,
        heads,
        head_dim,
        c.size("mamba_d_state"),
        groups,
        c.size("mamba_d_conv"),
        c.size("mamba_chunk_size"),
        c.flag("mamba_proj_bias"),
        c.flag("mamba_conv_bias", True),
        norm_groups=groups,
        **options,  # type: ignore[arg-type]
    )


@decoder("jamba")
def jamba(c: Config, m: ModelBuilder) -> None:
    """Jamba (arXiv 2403.19887): Mamba with attention and experts at fixed periods."""
    shape = Mamba(
        inner_width(c, "mamba_expand"),
        c.size("mamba_d_state"),
        c.size("mamba_d_conv"),
        step_rank(c, "mamba_dt_rank"),
        c.flag("mamba_proj_bias"),
        c.flag("mamba_conv_bias", True),
        "rms",
    )
    attention = partial(grouped, shape=Heads.of(c, rotary_dim=0))
    every, offset = c.size("attn_layer_period"), c.size("attn_layer_offset", least=0)
    expert_every, expert_offset = c.size("expert_layer_period"), c.size("expert_layer_offset", least=0)
    several = c.size("num_experts") > 1

    def feed_forward(sparse: bool) -> Half:
        if not sparse:
            return dense(c, module="feed_forward")
        return experts(c, inner="intermediate_size", module="feed_forward", gate="router")

    layers(
        c,
        m,
        lambda attends: attention if attends else partial(mamba, m=shape, module="mamba"),
        feed_forward,
        mixers=[i % every == offset for i in range(c.layers)],
        feeds=[several and i % expert_every == expert_offset for i in range(c.layers)],
        names=("input_layernorm", "pre_ff_layernorm"),
        final="final_layernorm",
    )


@decoder("bamba")
def bamba(c: Config, m: ModelBuilder) -> None:
    """Bamba: Mamba-2, attention at the layers of `attn_layer_indices`, half of each head turned."""
    shape = state_space_dual(c, inner_width(c, "mamba_expand"))
    attention = partial(grouped, shape=Heads.of(c, rotary_dim=c.head_dim // 2), bias=c.flag("attention_bias"))
    places = c.items("attn_layer_indices") or []
    layers(
        c,
        m,
        lambda attends: attention if attends else partial(mamba2, m=shape, module="mamba"),
        lambda kind: dense(c, module="feed_forward", bias=c.flag("mlp_bias")),
        mixers=[i in places for i in range(c.layers)],
        names=("input_layernorm", "pre_ff_layernorm"),
        final="final_layernorm",
    )


@decoder("falcon_h1", after=scaled)
def falcon_h1(c: Config, m: ModelBuilder) -> None:
    """Falcon-H1 (arXiv 2507.22448): attention and Mamba-2 side by side in every layer, factors everywhere."""
    inner = c.maybe("mamba_d_ssm") or inner_width(c, "mamba_expand")
    shape = state_space_dual(c, inner, out_bias=c.flag("projectors_bias"))
    attention = partial(grouped, shape=Heads.of(c), bias=c.flag("attention_bias"), key_scale=True)
    state_space = partial(mamba2, m=shape, module="mamba", gated_norm=c.flag("mamba_rms_norm"), scaled=True)

    def mixer(t: Trace, x: Tensor) -> Tensor:
        recurrent = t.elementwise("scale", state_space(t, x))
        attended = t.elementwise("scale", attention(t, t.elementwise("scale", x)))
        return t.add(recurrent, attended)

    layers(
        c,
        m,
        lambda kind: mixer,
        lambda kind: dense(c, module="feed_forward", bias=c.flag("mlp_bias"), scaled=True),
        names=("input_layernorm", "pre_ff_layernorm"),
        final="final_layernorm",
        scale=True,
    )


@decoder("nemotron_h", ties=False)
def nemotron_h(c: Config, m: ModelBuilder) -> None:
    """Nemotron-H and Nemotron 3 (arXiv 2504.03624): one norm and one mixer a layer, of four kinds."""
    heads, head_dim = c.size("mamba_num_heads"), c.size("mamba_head_dim")
    groups = c.size("n_groups")
    if heads % groups:
        raise c.wrong("n_groups", "config_not_divisible", value=groups, of=heads)
    shape = Mamba2(
        heads * head_dim,
        heads,
        head_dim,
        c.size("ssm_state_size"),
        groups,
        c.size("conv_kernel"),
        c.size("chunk_size"),
        c.flag("use_bias"),
        c.flag("use_conv_bias", True),
        norm_groups=groups,
    )
    mixers: dict[str, Callable[[], Half]] = {
        "linear_attention": lambda: partial(mamba2, m=shape),
        "full_attention": lambda: partial(grouped, shape=Heads.of(c, rotary_dim=0), module="mixer"),
        "mlp": lambda: partial(
            plain, inner=c.inner, module="mixer", activation=c.text("mlp_hidden_act"), bias=c.flag("mlp_bias")
        ),
        "moe": lambda: nemotron_experts(c),
    }
    types = pattern(c)
    layers(
        c,
        m,
        lambda kind: mixers[kind](),
        lambda kind: None,
        mixers=types,
        count=len(types),
        embed="embeddings",
        final="norm_f",
        names=("norm",),
    )


def pattern(c: Config) -> list[str]:
    """Kinds of Nemotron-H's layers: a list, or a letter for each; the list's length is the depth."""
    letters = {"M": "linear_attention", "E": "moe", "*": "full_attention", "-": "mlp"}
    stated = c.items("layers_block_type")
    if stated is None and (text := c.get("hybrid_override_pattern")) is not None:
        stated = [letters.get(letter, letter) for letter in str(text)]
    types = ["linear_attention", "moe", "full_attention", "mlp"] if stated is None else stated
    count = len(types)
    if not 0 < count <= 2**14:
        raise c.wrong("layers_block_type", "config_layer_types", value=count, layers=1)
    return named(c, "layers_block_type", types, tuple(letters.values()))


def nemotron_experts(c: Config) -> Half:
    """Squared ReLU without a gate, routed and shared; experts may work on a narrower latent."""
    count, used = chosen(c, "n_routed_experts", "num_experts_per_tok")
    inner, shared = c.size("moe_intermediate_size"), c.size("moe_shared_expert_intermediate_size")
    act, bias, latent = c.text("mlp_hidden_act"), c.flag("mlp_bias"), c.maybe("moe_latent_size")

    def write(t: Trace, x: Tensor) -> Tensor:
        with t.scope("mixer"):
            weights = router(t, x, count, used, correction="gate.e_score_correction_bias", scoring="sigmoid")
            inside = t.linear("fc1_latent_proj", x, latent, bias=bias) if latent else x
            out = fused_experts(
                t,
                inside,
                weights,
                count=count,
                top_k=used,
                inner=inner,
                gated=False,
                names=("up_proj", "down_proj"),
                activation=act,
            )
            out = t.linear("fc2_latent_proj", out, x.width, bias=bias) if latent else out
            return t.add(out, plain(t, x, shared, module="shared_experts", activation=act, bias=bias))

    return write


def granite_experts(c: Config, shared: int, count: int) -> Half:
    """Granite's routed experts, a fused gated block beside them (alone where there are no experts)."""

    def beside(t: Trace, x: Tensor) -> Tensor:
        return fused_gated(t, x, shared, module="shared_mlp", names=("input_linear", "output_linear"))

    if not count:
        return beside
    routed = experts(
        c, "num_local_experts", inner="intermediate_size", module="block_sparse_moe", gate="router"
    )
    if not shared:
        return routed
    return lambda t, x: t.add(routed(t, x), beside(t, x))


@decoder("granitemoe", after=scaled)
def granitemoe(c: Config, m: ModelBuilder) -> None:
    """Granite 3 with experts: constant factors on embeddings, branches and logits."""
    attention = partial(grouped, shape=Heads.of(c), bias=c.flag("attention_bias"))
    mixture = granite_experts(c, 0, 1)
    layers(c, m, lambda kind: attention, lambda kind: mixture, scale=True, wrap=scaled_branches)


@decoder("granitemoeshared", after=scaled)
def granitemoeshared(c: Config, m: ModelBuilder) -> None:
    """Granite with a shared expert."""
    attention = partial(grouped, shape=Heads.of(c), bias=c.flag("attention_bias"))
    mixture = granite_experts(c, c.size("shared_intermediate_size", least=0), 1)
    layers(c, m, lambda kind: attention, lambda kind: mixture, scale=True, wrap=scaled_branches)


@decoder("granitemoe_swa", after=scaled)
def granitemoe_swa(c: Config, m: ModelBuilder) -> None:
    """Granite with a shared expert, sinks, and a window in three of four layers."""
    types = ["sliding_attention" if i % 4 else "full_attention" for i in range(c.layers)]
    thetas = c.items("layer_rope_theta") or [1.0] * c.layers
    kinds_ = c.layer_types(types)
    if len(thetas) < c.layers:
        raise c.wrong("layer_rope_theta", "config_layer_types", value=len(thetas), layers=c.layers)
    mixture = granite_experts(c, c.size("shared_intermediate_size", least=0), 1)

    def attention(kind: tuple[str, bool]) -> Half:
        window = c.maybe("sliding_window") if kind[0] == "sliding_attention" else None
        shape = Heads.of(c, window=window) if kind[1] else Heads.of(c, window=window, rotary_dim=0)
        return partial(grouped, shape=shape, bias=c.flag("attention_bias"), sinks=True)

    layers(
        c,
        m,
        attention,
        lambda kind: mixture,
        mixers=[(kinds_[i], bool(thetas[i])) for i in range(c.layers)],
        scale=True,
        wrap=scaled_branches,
    )


def scaled_branches(t: Trace, x: Tensor, mixer: Half, feed_forward: Half, *, style: str = "rms") -> Tensor:
    """Pre-norm layers whose branches join the residual times a constant."""
    return pre_norm(t, x, mixer, feed_forward, style=style, scale=True)


@decoder("granitemoehybrid", after=scaled)
def granitemoehybrid(c: Config, m: ModelBuilder) -> None:
    """Granite 4: Mamba-2 and a few layers of attention, experts or not."""
    shape = state_space_dual(c, inner_width(c, "mamba_expand"))
    turned = {} if c.get("position_embedding_type") == "rope" else {"rotary_dim": 0}
    attention = partial(grouped, shape=Heads.of(c, **turned), bias=c.flag("attention_bias"))
    mixture = granite_experts(c, c.size("shared_intermediate_size"), c.size("num_local_experts", least=0))

    def mixer(kind: Hashable) -> Half:
        return partial(mamba2, m=shape, module="mamba") if kind == "linear_attention" else attention

    layers(
        c,
        m,
        mixer,
        lambda kind: mixture,
        mixers=kinds(
            c, "layer_types", ["linear_attention"] * c.layers, ("linear_attention", "full_attention")
        ),
        scale=True,
        wrap=scaled_branches,
    )
