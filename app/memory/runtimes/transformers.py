"""transformers: weights as they are, the library's own cache object, one eager forward pass.

Source: transformers `cache_utils.py` (`DynamicCache`: a layer's keys and values are concatenated, so old and
new stand side by side while it grows).
"""

from collections.abc import Mapping
from typing import Any, Final

from ...parallelism import Stage
from ..activations import widths
from ..estimate import Term
from ..requests import InferenceRequest
from ..weights import element_bytes, rank_weights
from .base import Deployment

GIB: Final = 2**30


class TransformersDeployment(Deployment):
    """A model loaded with `from_pretrained`, generating."""

    narrow_float32 = False

    def __init__(self, request: InferenceRequest) -> None:
        super().__init__(request)
        self.kv_dtype = self.stored.compute if request.kv_cache_dtype == "auto" else request.kv_cache_dtype

    def parameters(self) -> Mapping[str, Any]:
        """Nothing but data types to choose."""
        return {"backend_version": "5", "kv_cache_dtype": self.kv_dtype, "precision": self.stored.compute}

    def weights(self, stage: Stage) -> int:
        """The tensors as they are."""
        return rank_weights(self.stored, self.layout, stage).exact

    def activations(self, stage: Stage, batch: int, length: int) -> int:
        """The residual stream, one block, and the logits of the last position in float32."""
        w = widths(self.stored.architecture, self.layout, stage)
        element = element_bytes(self.stored.compute)
        return round(batch * length * (4 * w.hidden + max(w.feed_forward, w.attention)) * element + 6 * batch * w.vocabulary)

    def overhead(self, stage: Stage) -> int:
        """CUDA context and cuBLAS workspace."""
        return round(0.5 * GIB) + self.device.cublas_workspace

    def terms(self, stage: Stage) -> tuple[Term, ...]:
        """Weights, cache, one forward pass, context."""
        return (
            Term("model_weights", self.weights(stage), "sum(tensors)", {}, "checkpoint"),
            Term("kv_cache", self.cache_bytes(stage, self.batch, self.length), "cache", {}, "cache_utils.py"),
            Term("activation_memory", self.activations(stage, self.batch, self.length), "act", {}, "forward pass"),
            Term("framework_overhead", self.overhead(stage), "context", {}, "measured"),
        )

    def minimum(self) -> "TransformersDeployment":
        """It already takes no more than it needs."""
        return self

    def cache_bytes(self, stage: Stage, batch: int, length: int) -> int:
        """What the cache object holds after a forward pass."""
        return self.stored.architecture.cache_bytes(batch, length, dtype=self.kv_dtype)

    def room(self, stage: Stage, batch: int, length: int) -> int:
        """All of the card that is not taken otherwise."""
        return self.budget(stage) - self.weights(stage) - self.activations(stage, batch, length) - self.overhead(stage)

    def budget(self, stage: Stage) -> int:
        """The whole card."""
        return self.device.total
