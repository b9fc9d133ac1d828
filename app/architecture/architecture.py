"""An architecture: a model written down once, and the readings of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..messages import Message
from . import adapters, cache, flops, tensors
from .extents import Extents
from .operations import Operation
from .sections import Section


@dataclass(frozen=True, eq=False)
class Architecture:
    """A model's sections in order, and what its configuration says beside the forward pass.

    `kind`: decoder, encoder, encoder_decoder or image_text. `dtype`: the configuration's own, if any.
    """

    model_type: str
    config: Mapping[str, Any]
    sections: tuple[Section, ...]
    hidden_size: int
    vocab_size: int
    context_length: int | None = None
    dtype: str | None = None
    class_name: str = ""
    kind: str = "decoder"
    warnings: tuple[Message, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def layers(self) -> int:
        """Decoder layers."""
        return sum(section.count for section in self.of("decoder"))

    def of(self, *components: str) -> Iterator[Section]:
        """The sections of these components, in order."""
        return (section for section in self.sections if section.component in components)

    def operations(self) -> Iterator[tuple[Section, Operation]]:
        """Every distinct operation with the section it stands in."""
        return ((section, op) for section in self.sections for op in section.block.operations)

    @cached_property
    def parameters(self) -> tensors.ParameterCount:
        """Parameters in total, active per token, by component."""
        return tensors.count(self.sections)

    def tensors(self) -> Iterator[tensors.TensorSpec]:
        """Every tensor in module naming, tied copies once."""
        return tensors.tensors(self.sections)

    @cached_property
    def cache_layers(self) -> tuple[cache.CacheLayer, ...]:
        """What each distinct layer remembers."""
        return tuple(cache.layers(self.sections))

    def cache_bytes(
        self,
        batch: int,
        length: int,
        *,
        dtype: str = "bfloat16",
        implementation: cache.Form = "transformers",
        source: int = 0,
    ) -> int:
        """Bytes of keys, values and states after `length` tokens of `batch` sequences."""
        return cache.cache_bytes(self.sections, batch, length, dtype, implementation, source)

    def cache_bytes_per_token(self, dtype: str = "bfloat16") -> int:
        """Bytes that one more token adds while no window is full."""
        return cache.bytes_per_token(self.sections, dtype)

    def forward_flops(self, batch: int, length: int, *, causal: bool = False, source: int = 0) -> int:
        """FLOPs of a forward pass with logits at every position, as plain PyTorch multiplies."""
        extents = Extents(batch, length, source=source, literal=True)
        return flops.forward_flops(self.sections, extents, causal=causal)

    def lora_parameters(self, rank: int, target_modules: str | Sequence[str] = "all-linear") -> int:
        """Trainable parameters of adapters on the chosen modules."""
        return adapters.lora_parameters(self.sections, rank, target_modules, self.model_type)
