"""What decides how a forward pass is kept: number formats, kernels, what is trained, what is recomputed.

A mode holds everything but the batch and the length, so a description is read once per architecture and
mode. Only a few facts about those two are structural and stand here: whether there is one sequence,
whether a window is exceeded.
"""

from msgspec import Struct, field

from ...parallelism import Layout


class Kernels(Struct, frozen=True):
    """How operations are carried out, where that changes what is kept.

    `mask`: a causal mask is built even where the kernel needs none (tracing does so).
    `native_groups`: attention reads shared key-value heads without repeating them.
    `in_place`: a second gradient is added into the first where nobody else holds it.
    `half_softmax`: softmax reads 16-bit scores and writes float32 without a copy between.
    `flash_workspace`: attention's backward accumulates query gradients in float32.
    `dropout_mask`: bytes per element of a saved dropout mask (0: of the activation's own type).
    `chunked_loss`: a fused loss still makes all logits, and works on them in eight chunks.
    `regathers`: sequence-parallel inputs are gathered again in backward instead of being kept whole.
    `wide_output`: the logits that the caller holds are the float32 ones (Fabric casts a module's output).
    `norm`, `rotary`, `activation`: fused into one kernel each (Liger, Unsloth, Megatron).
    """

    name: str
    mask: bool = False
    native_groups: bool = True
    in_place: bool = True
    half_softmax: bool = True
    flash_workspace: bool = True
    dropout_mask: int = 1
    wide_statistics: bool = True
    attention_dropout_free: bool = True
    unequal_heads: bool = True
    wide_output: bool = False
    chunked_loss: bool = False
    regathers: bool = False
    norm: bool = False
    rotary: bool = False
    activation: bool = False


CUDA_EAGER = Kernels("cuda eager")
TRACED_CPU = Kernels(
    "fake tensors on the CPU",
    in_place=False,
    half_softmax=False,
    flash_workspace=False,
    dropout_mask=0,
    wide_statistics=False,
    attention_dropout_free=False,
    unequal_heads=False,
)
LIGER = Kernels("Liger", norm=True, rotary=True, activation=True)
MEGATRON = Kernels("Megatron", norm=True, rotary=True, activation=True, regathers=True)
TORCHTUNE = Kernels("torchtune", chunked_loss=True)
LITGPT = Kernels("LitGPT", wide_output=True)
COMPILED = Kernels("torch.compile", norm=True, rotary=True, activation=True)


class Adapters(Struct, frozen=True):
    """Low-rank adapters beside frozen linears: rank, dropout, bytes of their type, and where they sit."""

    rank: int
    dropout: float = 0.0
    item: int = 4
    target_modules: str | tuple[str, ...] = "all-linear"
    magnitudes: bool = False  # DoRA
    model_type: str = ""  # by which PEFT knows stacked experts under older names
    saved: tuple[str, ...] = ()  # modules trained in full, as copies of their own (`modules_to_save`)
    bias: str = "none"  # which biases are trained: none, all, lora_only


class Mode(Struct, frozen=True):
    """One way of running a training step; `weight_item` and `compute_item` in bytes per element."""

    weight_item: int = 2
    compute_item: int = 2
    autocast: bool = False
    narrow_products: bool = False  # linear inputs and weights in 8 bits (Transformer Engine)
    attention: str = "sdpa"
    kernels: Kernels = CUDA_EAGER
    single: bool = True  # one sequence
    exceeded: frozenset[int] = field(default_factory=frozenset)  # windows shorter than the sequence
    checkpointing: str = "none"
    every: int = 1  # every how manieth layer is recomputed
    offloaded: bool = False  # what finished blocks keep lies in host memory
    dequantizes: bool = False  # each product first makes its weight whole, in the compute type
    objective: str = "causal_lm"
    reference: bool = False  # a frozen model runs beside, without gradients
    adapters: Adapters | None = None
    trained_from: int = 0  # layers before this one are frozen; embeddings too, if above 0
    accumulating: bool = False
    fused_loss: bool = False
    wide_loss: bool = True  # logits are cast to float32 first (causal models of transformers)
    leaf_inputs: bool = False  # a frozen embedding's output is made a leaf that gets a gradient
    layout: Layout = field(default_factory=Layout)
    sequence_parallel: bool = False
    expert_imbalance: float = 1.0  # rows of the fullest expert rank over the mean
