"""What every runtime answers: how it is set up, what each rank holds, and what is left for the cache."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Any, ClassVar

from ...messages import Message
from ...parallelism import Deal, Layout, Stage, balanced, check_layout, stages
from ..estimate import Term
from ..requests import InferenceRequest
from ..weights import StoredModel, stored_model
from .device import Device, device_of


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A model laid over ranks: distinct stages, one tensor-parallel rank of each standing for all."""

    stored: StoredModel
    layout: Layout
    stages: tuple[Stage, ...]


@lru_cache(maxsize=1024)
def place(stored: StoredModel, layout: Layout, deal: Deal = balanced) -> Place:
    """Lay a model over ranks; raises `InvalidLayout`."""
    check_layout(stored.architecture, layout)
    return Place(stored, layout, stages(stored.sections, layout.pipeline, deal))


class Deployment(ABC):
    """One request set up on one runtime. Sizes are bytes of one GPU, lengths tokens."""

    narrow_float32: ClassVar[bool] = True  # a float32 configuration is loaded in 16 bits
    deal: ClassVar[Deal] = staticmethod(balanced)

    def __init__(self, request: InferenceRequest) -> None:
        model = request.model
        self.request = request
        self.warnings: list[Message] = []
        self.device: Device = device_of(request.gpu)
        self.stored = stored_model(
            model.architecture, model.precision, model.quantization, model.size_billions, self.narrow_float32
        )
        self.warnings.extend(self.stored.warnings)
        self.layout = self.lay_out()
        self.place = place(self.stored, self.layout, type(self).deal)
        self.batch = ceil(request.batch_size / request.data_parallel)
        self.length = request.sequence_length

    def lay_out(self) -> Layout:
        """The layout that the request asks for."""
        r = self.request
        return Layout(r.tensor_parallel, r.pipeline_parallel, r.data_parallel, r.expert_parallel, r.context_parallel)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The distinct stages."""
        return self.place.stages

    def ranks_of(self, stage: Stage) -> int:
        """GPUs that hold this stage."""
        return stage.count * self.layout.tensor * self.layout.data

    @abstractmethod
    def parameters(self) -> Mapping[str, Any]:
        """Every choice that was made, by the contract's names."""

    @abstractmethod
    def terms(self, stage: Stage) -> tuple[Term, ...]:
        """What one rank of this stage holds."""

    @abstractmethod
    def minimum(self) -> "Deployment":
        """The same request set up to need the least."""

    @abstractmethod
    def cache_bytes(self, stage: Stage, batch: int, length: int) -> int:
        """Cache of `batch` sequences of `length` tokens on one rank."""

    @abstractmethod
    def room(self, stage: Stage, batch: int, length: int) -> int:
        """Bytes that are left for the cache on one rank (negative: the rest alone is too much)."""

    @abstractmethod
    def budget(self, stage: Stage) -> int:
        """Bytes of one GPU that the runtime lets itself use."""

    def fits(self, batch: int, length: int) -> bool:
        """Whether every rank has room for this cache; batch is of one replica."""
        return all(self.cache_bytes(s, batch, length) <= self.room(s, batch, length) for s in self.stages)

    def capacity(self) -> dict[str, Any]:
        """`kv_cache_tokens` and `max_concurrency` as the runtime would log them, None where it logs none."""
        return {"kv_cache_tokens": None, "max_concurrency": None}

    def figures(self) -> dict[str, float]:
        """What the runtime's start-up log would say [GiB, tokens], by the names of `validation/`; rank 0."""
        return {}
