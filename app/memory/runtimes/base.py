"""What every runtime answers: how it is set up, what each rank holds, and what is left for the cache."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any, ClassVar, Final, Self

from ...defaults import defaults_of
from ...errors import invalid
from ...lanes import least, most, whole
from ...messages import Message
from ...parallelism import Deal, Layout, Stage, balanced
from ..activations import Widths, widths
from ..estimate import Term
from ..kv_cache import LayerCache, StateRule, cache_element, rank_cache
from ..pictures import Picture, picture
from ..requests import InferenceRequest, Model
from ..weights import StoredModel, adapter_elements, element_bytes, rank_weights, stored_model
from .choices import KV_CACHE_DTYPES, VERSIONS
from .device import Device, device_of
from .placement import Place, place, prediction
from .search import largest

GIB: Final = 2**30
MIB: Final = 2**20
Spread = tuple[float, float]  # a term's 90% band: multiples of its bytes
EXACT: Final[Spread] = (1.0, 1.0)
UNKNOWN: Final[Spread] = (0.3, 3.0)  # on devices that nobody measured
MEASURED_ON_CUDA: Final = ("activation_memory", "framework_overhead")

_DEFAULTS: Final = defaults_of(InferenceRequest)
SERVER_FIELDS: Final = (
    "gpu_memory_utilization",
    "max_num_seqs",
    "max_num_batched_tokens",
    "block_size",
    "enforce_eager",
)


def covered_version(backend: str, asked: str | None) -> str:
    """The version whose rules apply [newest covered]; raises `InvalidRequest` for one that none cover.

    >>> covered_version("vllm", "v0.19.1"), covered_version("vllm", None)
    ('0.19', '0.33')
    """
    known = VERSIONS[backend]
    if asked is None:
        return known[-1]
    plain = asked.lower().removeprefix("v")
    for version in known:
        if plain == version or plain.startswith(f"{version}."):
            return version
    raise invalid("backend_version", "unknown_version", value=asked[:32], known=", ".join(known))


class Deployment(ABC):
    """One request set up on one runtime. Sizes are bytes of one GPU, lengths tokens."""

    backend: ClassVar[str]
    narrow_float32: ClassVar[bool] = True  # a float32 configuration is loaded in 16 bits
    neutral: ClassVar[tuple[str, ...]] = ()  # fields that change nothing on this runtime
    state_dtype: ClassVar[str | None] = None  # of recurrent states that name none [the model's]
    loading: ClassVar[str]  # source of the weights' bytes
    loading_spread: ClassVar[Spread] = EXACT
    cuda_only: ClassVar[bool] = True  # whether overheads were measured on CUDA devices only
    shares_prefix: ClassVar[bool] = False  # whether sequences share the cache of a common beginning
    pictures_said: ClassVar[str | None] = "image_encoding_unknown"  # what to say of the memory of encoding

    def __init__(self, request: InferenceRequest) -> None:
        self.request = request
        self.warnings: list[Message] = []
        self._weights: dict[Stage, tuple[Term, ...]] = {}
        self._widths: dict[Stage, Widths] = {}
        self._caches: dict[Stage, tuple[LayerCache, ...]] = {}
        self.device: Device = device_of(request.gpu)
        self.stored = self.store(request.model)
        self.warnings.extend(self.stored.warnings)
        self.layout = self.lay_out()
        self.place = place(self.stored, self.layout, self.deal())
        self.draft = self._place_draft()
        self.batch = -(-request.batch_size // request.data_parallel)
        self.length = request.sequence_length
        self.kv_dtype = self._kv_dtype()
        self.kv_element = cache_element(self.kv_dtype)
        self.prefix = self._prefix()
        self.picture = self._picture()
        self.spread_beyond = self._unmeasured_device()
        self._warn_of_neutral_fields()
        if self.encodes:
            self.warnings.append(Message("encoder_no_cache", {}))

    def at(self, batch_size: int, length: int) -> Self:
        """The same deployment asked for other sequences and lengths; both may be arrays of them."""
        other = self.twin()
        other.batch, other.length = -(-batch_size // self.request.data_parallel), length
        other.settle()
        return other

    def twin(self) -> Self:
        """Another deployment with the same state (`copy` asks for much more than that)."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def settle(self) -> None:  # noqa: B027 - most runtimes choose alike at any batch and length
        """Choose what depends on batch and length."""

    # --- set-up -------------------------------------------------------------------------------

    def store(self, model: Model) -> StoredModel:
        """The form that the runtime keeps a model in."""
        return stored_model(
            model.architecture, model.precision, model.quantization, model.size_billions, self.narrow_float32
        )

    def deal(self) -> Deal:
        """How layers are dealt to pipeline stages."""
        return balanced

    def lay_out(self) -> Layout:
        """The layout that the request asks for."""
        r = self.request
        experts = 1 if "expert_parallel" in self.neutral else r.expert_parallel
        return Layout(r.tensor_parallel, r.pipeline_parallel, r.data_parallel, experts, r.context_parallel)

    def _place_draft(self) -> Place | None:
        """A draft on the same tensor ranks: a model of its own, or the model's own prediction layers."""
        speculative = self.request.speculative
        if speculative is None:
            return None
        if speculative.draft is None:
            return prediction(self.stored, Layout(tensor=self.layout.tensor))
        return place(self.store(speculative.draft), Layout(tensor=self.layout.tensor), balanced)

    @property
    def drafted(self) -> int:
        """Tokens proposed in a step."""
        return self.request.speculative.num_tokens if self.request.speculative else 0

    def _kv_dtype(self) -> str:
        asked, known = self.request.kv_cache_dtype, KV_CACHE_DTYPES[self.backend]
        if asked not in known:
            raise invalid(
                "kv_cache_dtype",
                "kv_cache_dtype_unknown",
                value=asked,
                backend=self.backend,
                known=", ".join(known),
            )
        return self.stored.compute if asked == "auto" else asked

    def _prefix(self) -> int:
        """Tokens that all sequences begin with and that the cache holds once."""
        asked = self.request.shared_prefix_length
        if asked >= self.length:
            raise invalid("shared_prefix_length", "prefix_too_long", value=asked, length=self.length)
        if asked and not (self.shares_prefix and self.finds_prefixes()):
            self.warnings.append(Message("prefix_not_shared", {"backend": self.backend}))
            return 0
        return asked

    def _picture(self) -> Picture | None:
        """What one of the request's pictures costs."""
        images = self.request.images
        if images is None:
            return None
        found = picture(self.stored.architecture, images.width, images.height)
        if found is None:
            raise invalid("images", "images_not_seen", model_type=self.stored.architecture.model_type)
        taken = images.count * found.tokens
        if taken > self.length:
            raise invalid("images", "images_too_many", tokens=taken, length=self.length)
        if found.tiled:
            self.warnings.append(Message("image_tiled", {"tokens": found.tokens}))
        if self.pictures_said:
            self.warnings.append(Message(self.pictures_said, {"backend": self.backend}))
        return found

    def finds_prefixes(self) -> bool:
        """Whether the runtime looks for common beginnings of this model's sequences by default."""
        return not self.encodes

    def shared_bytes(self, stage: Stage, page: int) -> int:
        """Cache on one rank that a further sequence needs no more: whole pages of layers that see all."""
        tokens = self.prefix // page * page
        grown = [c for c in self.caches(stage) if not (c.window or c.chunk or c.cross)]
        return whole(tokens * sum(c.layers * (c.width * self.kv_element + c.indexer) for c in grown))

    def _unmeasured_device(self) -> bool:
        """Warn where overheads were measured on other devices than this one."""
        if self.device.is_assumed:
            self.warnings.append(Message("gpu_assumed", {"gpu": "H100 80GB"}))
        if self.device.is_cuda or not self.cuda_only:
            return False
        self.warnings.append(Message("overhead_unknown", {"gpu": self.device.name, "backend": self.backend}))
        return True

    def _warn_of_neutral_fields(self) -> None:
        r = self.request
        neutral = list(self.neutral)
        if not r.max_loras:
            neutral.append("max_lora_rank")
        if r.solve_for != "min_gpus":
            neutral.append("gpus_per_node")
        for name in neutral:
            if getattr(r, name) != _DEFAULTS[name]:
                self.warnings.append(Message("neutral_field", {"field": name, "backend": self.backend}))

    # --- readings of one rank -------------------------------------------------------------------

    @property
    def encodes(self) -> bool:
        """Whether the model reads whole inputs at once and keeps nothing of them."""
        return self.stored.architecture.kind == "encoder"

    def source(self, length: int) -> int:
        """Encoder tokens of one sequence: what the configuration allows, else as many as the decoder's."""
        positions = self.stored.architecture.config.get("max_source_positions")
        return positions if isinstance(positions, int) and positions > 0 else length

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The distinct stages."""
        return self.place.stages

    def ranks_of(self, stage: Stage) -> int:
        """GPUs that hold this stage."""
        return stage.count * self.layout.tensor * self.layout.data

    def widths(self, stage: Stage) -> Widths:
        """The widths of one rank."""
        if (found := self._widths.get(stage)) is None:
            found = self._widths[stage] = widths(self.stored.architecture, self.layout, stage)
        return found

    def caches(self, stage: Stage) -> tuple[LayerCache, ...]:
        """What the layers of one rank remember, a draft's on the last stage included."""
        if (found := self._caches.get(stage)) is None:
            found = self._caches[stage] = self.read_caches(stage)
        return found

    def read_caches(self, stage: Stage) -> tuple[LayerCache, ...]:
        """The same, read off the description."""
        rule = StateRule(self.stored.compute, self.state_dtype or self.stored.compute, True, self.drafted)
        own = rank_cache(self.layout, stage, rule)
        if self.draft is None or not stage.last:
            return own
        return own + rank_cache(self.draft.layout, self.draft.stages[0], rule)

    def model_bytes(self, stage: Stage) -> int:
        """The model's weights on one rank."""
        return rank_weights(self.stored, self.layout, stage).exact

    def draft_bytes(self, stage: Stage) -> int:
        """A draft's weights on one rank."""
        if self.draft is None or not stage.last:
            return 0
        size = rank_weights(self.draft.stored, self.draft.layout, self.draft.stages[0]).exact
        if self.draft.stored is not self.stored:
            return size
        joined = (
            2 * self.stored.architecture.hidden_size**2
        )  # eh_proj: hidden state beside the next embedding
        return size + round(joined * element_bytes(self.stored.compute))

    def adapter_bytes(self, stage: Stage) -> int:
        """Slots for adapters, in the compute type."""
        r = self.request
        if not r.max_loras:
            return 0
        one = adapter_elements(stage, self.layout, r.max_lora_rank)
        return round(r.max_loras * one * element_bytes(self.stored.compute))

    def weights(self, stage: Stage) -> int:
        """Everything that is loaded."""
        return sum(term.bytes for term in self.weight_terms(stage))

    # --- the answer -----------------------------------------------------------------------------

    def term(
        self,
        name: str,
        size: int,
        formula: str,
        values: Mapping[str, Any],
        source: str,
        spread: Spread = EXACT,
    ) -> Term:
        """A term with its band; on devices that nobody measured the band is wide."""
        if spread == EXACT:
            return Term(name, size, formula, values, source)
        low, high = UNKNOWN if self.spread_beyond and name in MEASURED_ON_CUDA else spread
        return Term(name, size, formula, values, source, whole(size * low), whole(size * high))

    def weight_terms(self, stage: Stage) -> tuple[Term, ...]:
        """Weights, a draft's, and adapters' slots, each where there are any."""
        if (found := self._weights.get(stage)) is None:
            found = self._weights[stage] = tuple(self._weight_terms(stage))
        return found

    def _weight_terms(self, stage: Stage) -> Iterator[Term]:
        r, source, spread = self.request, self.loading, self.loading_spread
        values = {
            "parameters": self.stored.architecture.parameters.total,
            "scheme": self.stored.scheme.name,
            "precision": self.stored.compute,
            "tensor_parallel": self.layout.tensor,
        }
        yield self.term("model_weights", self.model_bytes(stage), "formula_weights", values, source, spread)
        if size := self.draft_bytes(stage):
            yield self.term("model_weights", size, "formula_draft", {"tokens": self.drafted}, source, spread)
        if size := self.adapter_bytes(stage):
            slots = {"max_loras": r.max_loras, "max_lora_rank": r.max_lora_rank}
            yield self.term("model_weights", size, "formula_adapters", slots, source, spread)

    @abstractmethod
    def parameters(self) -> Mapping[str, Any]:
        """Every choice that was made, by the contract's names."""

    @abstractmethod
    def terms(self, stage: Stage) -> tuple[Term, ...]:
        """What one rank of this stage holds."""

    def minimum(self) -> "Deployment":
        """The same request set up to need the least; only its terms are asked for."""
        return self

    @abstractmethod
    def cache_bytes(self, stage: Stage, batch: int, length: int) -> int:
        """Cache of `batch` sequences of `length` tokens on one rank."""

    @abstractmethod
    def room(self, stage: Stage, batch: int, length: int) -> int:
        """Bytes that are left for the cache on one rank (negative: the rest alone is too much)."""

    def budget(self, stage: Stage) -> int:
        """Bytes of one GPU that the runtime lets itself use."""
        return self.device.total

    def slack(self, batch: int, length: int) -> float:
        """How much more would fit beside `batch` sequences of `length`, of one replica; below 0: too much."""
        spare = (self.room(s, batch, length) - self.cache_bytes(s, batch, length) for s in self.stages)
        return reduce(least, spare)

    def tightest(self) -> Stage:
        """The stage whose ranks have the least left."""
        if len(self.stages) == 1:
            return self.stages[0]
        at = self.batch, self.length
        return min(self.stages, key=lambda stage: self.room(stage, *at) - self.cache_bytes(stage, *at))

    def largest_batch(self) -> int:
        """Sequences of the asked length that fit in one replica."""
        return largest(lambda batch: self.slack(batch, self.length), self._guess(1))

    def longest(self) -> int:
        """Tokens of a sequence for which the asked batch still fits."""
        return largest(lambda length: self.slack(self.batch, length), self.length * self._guess(self.batch))

    def _guess(self, batch: int) -> int:
        stage = self.stages[0]
        one = self.cache_bytes(stage, batch, self.length)
        return most(1, self.room(stage, batch, self.length) // most(1, one))

    def check(self) -> None:  # noqa: B027 - most runtimes have nothing to add
        """Warn of what the answer cannot show."""

    def capacity(self) -> dict[str, Any]:
        """`kv_cache_tokens` and `max_concurrency` as the runtime would log them, None where it logs none."""
        return {"kv_cache_tokens": None, "max_concurrency": None}

    def figures(self) -> dict[str, float]:
        """What the runtime's start-up log would say [GiB, tokens], by the names of `validation/`; rank 0."""
        return {}
