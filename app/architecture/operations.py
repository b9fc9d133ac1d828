"""The words a forward pass is written in: tensors, parameters and some fifteen kinds of operations.

A block records operations once (see `trace.py`); every number the service gives is a reading of that
record. Nothing here knows a batch size: a tensor has a width (elements per row) and an axis that says
what its rows are, so a size is `width * rows(axis)`.
"""

from enum import Enum

from msgspec import Struct

from .spans import Pattern, Span


class Axis(Enum):
    """What the rows of a tensor stand for."""

    ONE = "one"  # one row, whatever the batch
    BATCH = "batch"  # one row per sequence
    SEQUENCE = "sequence"  # one row per position, shared by the batch
    TOKENS = "tokens"  # one row per token: batch x sequence
    PAIRS = "pairs"  # one row per query and key: batch x sequence x context
    SOURCE = "source"  # one row per encoder token: batch x source length
    IMAGES = "images"  # one row per picture
    PATCHES = "patches"  # one row per vision patch or audio frame, over all inputs
    SPOKEN = "spoken"  # one row per code or frame of the speech that the model makes
    IMAGE_TOKENS = "image_tokens"  # one row per token that the tower hands to the language model


class Tensor(Struct, frozen=True):
    """A value in the forward pass: `width` elements on each row of `axis`.

    `storage` names the memory it lives in: a view carries its source's, so that bytes are counted once.
    `span`: rows that plain PyTorch multiplies in each sequence, where they are not one a token.
    """

    id: int
    axis: Axis
    width: int
    storage: int
    span: Span | None = None


class Part(Struct, frozen=True):
    """A stretch of a split dimension: `size` rows in `units` indivisible pieces (heads, mostly).

    `replicate` says that ranks share pieces when there are more ranks than pieces (key-value heads).
    """

    size: int
    units: int
    replicate: bool = False


class Split(Struct, frozen=True):
    """How tensor parallelism cuts a parameter: along `dim`, part by part."""

    dim: int
    parts: tuple[Part, ...]


class Role(Enum):
    """What a parameter is for; formats and layouts decide by it."""

    LINEAR = "linear"
    BIAS = "bias"
    NORM = "norm"
    EMBEDDING = "embedding"
    HEAD = "head"
    ROUTER = "router"
    EXPERT = "expert"
    CONVOLUTION = "convolution"
    STATE = "state"  # decay, time step and other recurrence parameters
    OTHER = "other"


class Parameter(Struct, frozen=True):
    """A weight: `name` is relative to the block that owns it, `shape` as the real module has it.

    `buffer`: saved in checkpoints but not trained. `tied`: the same memory as another parameter, listed
    elsewhere. `dtype`: set where the implementation fixes it whatever the model's data type.
    `experts`: how many routed experts are stacked along dimension 0 (0: none).
    `transposed`: stored input-major, [in, out].
    """

    name: str
    shape: tuple[int, ...]
    role: Role
    split: Split | None = None
    dtype: str | None = None
    buffer: bool = False
    tied: bool = False
    experts: int = 0
    transposed: bool = False
    checkpoint: tuple[tuple[str, int], ...] = ()  # names and rows it is published under, if not its own

    @property
    def size(self) -> int:
        """Elements."""
        product = 1
        for extent in self.shape:
            product *= extent
        return product


class Compressed(Struct, frozen=True):
    """Entries that each stand for `rate` tokens: `width` elements an entry; of the tokens that do not make
    up an entry yet `waiting` elements each; of the last entry's tokens `overlap` elements each."""

    rate: int
    width: int
    waiting: int
    overlap: int = 0

    def size(self, length: int) -> int:
        """Elements after `length` tokens of one sequence."""
        entries, rest = divmod(length, self.rate)
        return entries * self.width + rest * self.waiting + (self.rate * self.overlap if entries else 0)


class KeyValueCache(Struct, frozen=True):
    """What one attention layer remembers of each token.

    `window`: tokens kept at most (None: all). `chunk`: chunked-local attention, the window restarts.
    `latent`: elements per token of the compressed form (latent attention), where a runtime may keep
    that instead of `kv_heads * (key_dim + value_dim)`; `latent_parts` are its pieces.
    `cross`: keys and values of the encoder's tokens.
    """

    kv_heads: int
    key_dim: int
    value_dim: int
    window: int | None = None
    chunk: int | None = None
    latent_parts: tuple[int, ...] = ()
    cross: bool = False
    indexer_dim: int = 0  # keys of a sparse-attention indexer, beside the cache proper
    indexer_dtype: str | None = None  # of those keys; None: the cache's
    compressed: tuple[Compressed, ...] = ()  # entries for many tokens each, beside the window
    positions: int = 0  # position numbers kept of each token, in 64 bits
    kept_heads: int = 0  # heads that transformers keeps, where it repeats them before the cache
    prompt: int = 0  # learned tokens in front of every sequence
    behind: bool = False  # the encoder's tokens stand in front too

    @property
    def latent(self) -> int:
        """Elements per token of the compressed form; 0 where there is none."""
        return sum(self.latent_parts)

    @property
    def width(self) -> int:
        """Elements per token as plain attention keeps them."""
        return self.kv_heads * (self.key_dim + self.value_dim)


class State(Struct, frozen=True):
    """A recurrent state of fixed size: elements per sequence, whatever its length.

    `dtype` None: the model's. `units`: heads (or channels) that tensor parallelism divides it by.
    `once`: kept once for the whole batch.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str | None = None
    units: int = 1
    once: bool = False

    @property
    def size(self) -> int:
        """Elements per sequence."""
        product = 1
        for extent in self.shape:
            product *= extent
        return product


class Operation(Struct, frozen=True):
    """One step of the forward pass: what goes in, what comes out, which parameters it uses.

    `name` is the module's path inside its block ("" for a plain function).
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    parameters: tuple[Parameter, ...] = ()

    @property
    def output(self) -> Tensor:
        """The only output."""
        return self.outputs[0]


class Linear(Operation, frozen=True):
    """y = x W^T + b, `fan_in` to `fan_out`. `module` False: a bare parameter, no adapter can name it.

    `groups` > 1: block-diagonal. `convolution`: stored as [in, out] (GPT-2's Conv1D).
    """

    fan_in: int = 0
    fan_out: int = 0
    module: bool = True
    groups: int = 1
    head: bool = False


class Norm(Operation, frozen=True):
    """Normalisation of `groups` stretches of `width` elements per row.

    `style` tells the arithmetic, which decides what autograd keeps: `rms` (fp32, weight times the cast
    result), `rms_wide` (weight times the fp32 result, then cast), `rms_one_plus` (fp32 times 1 + weight),
    `rms_plain` (no weight), `layer` (LayerNorm), `layer_wide` (LayerNorm spelled out in fp32 and cast, no
    bias), `layer_plain` (LayerNorm of the fp32 cast, no weight), `layer_one_plus` (LayerNorm with
    1 + weight), `rms_gated` (with a gate), `group`, `l2`.
    """

    style: str = "rms"
    width: int = 0
    groups: int = 1


class Embedding(Operation, frozen=True):
    """Rows looked up by integers: `rows` x `width`."""

    rows: int = 0
    width: int = 0


class Rotary(Operation, frozen=True):
    """Rotary positions on `heads` vectors of `head_dim`, the first `rotary_dim` of each turned."""

    heads: int = 0
    head_dim: int = 0
    rotary_dim: int = 0


class Attention(Operation, frozen=True):
    """softmax(q k^T) v with `heads` queries over `kv_heads` keys and values.

    `window`: keys a query sees at most. `causal` False: bidirectional. `cross`: keys of the encoder.
    `extra_keys`: learned sink logits or stored tokens beside the sequence's own. `pattern`: pairs that plain
    PyTorch multiplies, where they are not all. `einsum`: products over one element are no matrix products.
    """

    heads: int = 0
    kv_heads: int = 0
    key_dim: int = 0
    value_dim: int = 0
    window: int | None = None
    chunk: int | None = None
    causal: bool = True
    cross: bool = False
    sinks: bool = False
    softcap: bool = False
    bias: bool = False  # a learned or ALiBi bias on the scores
    float32_softmax: bool = True
    dropout: float = 0.0
    cache: KeyValueCache | None = None
    float32_scores: bool = False  # queries and keys are cast to fp32 before their product
    compress: int = 0  # tokens that one more key each stands for; 0: none
    broadcast: bool = False  # one key-value head is handed over as it is, which no fused kernel takes
    pattern: Pattern | None = None
    einsum: bool = False


class Index(Operation, frozen=True):
    """Scores of a sparse-attention indexer: `heads` narrow queries over one key per token, in 32 bits,
    and the choice of `top_k` tokens (or blocks of `block` tokens) that attention then looks at.

    `ratio`: tokens that were compressed into one key. `causal`: a query is held against the entries before
    it only.
    """

    heads: int = 0
    key_dim: int = 0
    top_k: int = 0
    block: int = 1
    ratio: int = 1
    weighed: bool = True  # heads weighed and summed; else each head chooses by itself
    causal: bool = False


class Elementwise(Operation, frozen=True):
    """A function of every element: `add`, `multiply`, `cast`, `silu`, `gelu`, `sigmoid`, ...

    `scale`: times or plus a constant or a vector of parameters that needs no copy of the input for its
    gradient; `weigh`: times a vector of parameters, whose gradient needs one.

    `keeps`: what autograd saves for it is decided by its kind, in the training reading.
    """

    kind: str = "add"
    dropout: float = 0.0


class Product(Operation, frozen=True):
    """A matrix product of two activations, `terms` multiply-adds to each element of the output."""

    terms: int = 0


class View(Operation, frozen=True):
    """The same memory seen otherwise: `split`, `slice`, `reshape`, `transpose`."""

    kind: str = "split"


class Concat(Operation, frozen=True):
    """Inputs copied into one tensor, side by side."""


class Convolution(Operation, frozen=True):
    """A convolution: depthwise causal ones of recurrent mixers, patch embeddings, audio stems.

    `kernel` elements are read per output element and input channel of its group; `state` is what a
    causal one remembers; `cut`: plain PyTorch makes kernel - 1 outputs too many, and cuts them off.
    """

    channels_in: int = 0
    channels_out: int = 0
    kernel: int = 1
    groups: int = 1
    state: State | None = None
    cut: bool = True


class Scan(Operation, frozen=True):
    """A recurrence over the sequence: `mamba`, `mamba2`, `gated_delta`, `lightning`, `rg_lru`, `rwkv`, ...

    `heads` x `key_dim` x `value_dim` is the state each sequence carries; `chunk` the length that the
    parallel form works on at once.
    """

    kind: str = "mamba2"
    heads: int = 0
    key_dim: int = 0
    value_dim: int = 0
    groups: int = 1
    chunk: int = 1
    states: tuple[State, ...] = ()


class Route(Operation, frozen=True):
    """Scores of `experts` per token and the choice of `top_k`; the weight is a parameter or a module.

    `scoring`: `softmax` over all in float32, cast back; `softmax_wide`, not cast back; `topk_softmax` over
    the chosen only; `sigmoid` of scores that are computed in float32.
    """

    experts: int = 0
    top_k: int = 0
    scoring: str = "softmax"


class Experts(Operation, frozen=True):
    """`count` feed-forward experts of which each token uses `top_k`; `width` is their inner size.

    `fan_in` is the model's width, `gated` tells two input matrices from one; `matrices`: how many an
    expert has, where it is no whole block. `every`: plain PyTorch runs all experts on every token, those not
    chosen with a weight of zero (Llama 4); serving kernels run the chosen ones.
    """

    count: int = 0
    top_k: int = 0
    fan_in: int = 0
    width: int = 0
    gated: bool = True
    activation: str = "silu"
    biased: bool = False
    matrices: int = 0
    every: bool = False


class Hold(Operation, frozen=True):
    """Parameters or buffers that a module owns besides its operations (scales, tables, unused weights)."""
