"""transformers: weights as they are, the library's own cache object, one forward pass without gradients.

Sources: transformers `cache_utils.py` (`DynamicCache` concatenates, so one layer's old and new keys and
values stand side by side while it grows), `modeling_utils.py`; `generate` keeps logits of the last position
only, in float32 beside the compute type.
"""

from collections.abc import Mapping
from typing import Any, Final

from ...lanes import least, most, up, whole
from ...parallelism import Layout, Stage
from ..estimate import Term
from ..kv_cache import LayerCache, StateRule, rank_cache, sequence_bytes
from ..pictures import tower
from ..requests import InferenceRequest
from ..weights import element_bytes
from .base import GIB, SERVER_FIELDS, Deployment, covered_version

CONTEXT_BYTES: Final = round(0.5 * GIB)
RESIDUALS: Final = 4  # the stream, the normed copy, a branch's output and their sum
FLOAT32_NORM: Final = 2  # norms work on a float32 copy, two 16-bit widths
SCORE_COPIES: Final = 2  # eager attention: scores in the compute type and their softmax in float32 and back


class TransformersDeployment(Deployment):
    """A model loaded with `from_pretrained`, running `generate`."""

    backend = "transformers"
    narrow_float32 = False
    neutral = SERVER_FIELDS
    pictures_said = None
    loading = "the model's tensors"
    static_cache = False

    def __init__(self, request: InferenceRequest) -> None:
        super().__init__(request)
        self.attention = request.attention or "sdpa"

    def lay_out(self) -> Layout:
        """Tensor parallelism shards modules; stages stand for `device_map`, and replicas keep all experts."""
        r = self.request
        return Layout(
            r.tensor_parallel, r.pipeline_parallel, r.data_parallel, r.expert_parallel, r.context_parallel
        )

    def parameters(self) -> Mapping[str, Any]:
        """Data types and attention are all there is to choose."""
        version = covered_version(self.backend, self.request.backend_version)
        return {
            "backend_version": version,
            "kv_cache_dtype": self.kv_dtype,
            "precision": self.stored.compute,
            "attention": self.attention,
        }

    def activations(self, stage: Stage, batch: int, length: int) -> int:
        """Prefill of the whole batch: stream, one block's widest step, and eager attention's scores."""
        w = self.widths(stage)
        element = element_bytes(self.stored.compute)
        per_token = (RESIDUALS + FLOAT32_NORM) * w.hidden + max(w.feed_forward, w.attention)
        scores = 0.0
        if self.attention == "eager":
            scores = batch * w.heads * length * length * (SCORE_COPIES * element + 4)
        logits = batch * w.vocabulary * (element + 4) if stage.last else 0
        read = whole(batch * length * per_token * element + scores + logits)
        return most(read, self.encoding(stage, batch))

    def encoding(self, stage: Stage, batch: int) -> int:
        """All pictures of the batch through the encoder at once, on the first stage: pixels and one block."""
        images, seen = self.request.images, self.picture
        if images is None or seen is None or not stage.first:
            return 0
        w, element = tower(self.stored.architecture), element_bytes(self.stored.compute)
        count = batch * images.count
        per_patch = (RESIDUALS + FLOAT32_NORM) * w.hidden + w.step
        scores = 0.0
        if self.attention == "eager":
            scores = w.heads * seen.patches**2 * (SCORE_COPIES * element + 4)
        return whole(count * (seen.patches * per_patch * element + seen.pixels * element + scores))

    def growth(self, stage: Stage, batch: int, length: int) -> int:
        """The largest layer's keys and values once more, while `torch.cat` makes the longer copy."""
        if self.static_cache:
            return 0
        widest = max((cache.expanded for cache in self.caches(stage)), default=0)
        return whole(batch * length * widest * self.kv_element)

    def overhead(self, stage: Stage) -> int:
        """CUDA context, loaded kernels and the cuBLAS workspace."""
        return CONTEXT_BYTES + self.device.cublas_workspace if self.device.is_accelerator else 0

    def terms(self, stage: Stage) -> tuple[Term, ...]:
        """Weights, cache, one forward pass, context."""
        batch, length = self.batch, self.length
        values = {"batch": batch, "length": length, "hidden": self.stored.architecture.hidden_size}
        forward, growth = self.activations(stage, batch, length), self.growth(stage, batch, length)
        return (
            *self.weight_terms(stage),
            self.term(
                "kv_cache",
                self.cache_bytes(stage, batch, length),
                "formula_cache_object",
                {"batch": batch, "length": length, "dtype": self.kv_dtype},
                "transformers cache_utils.py",
            ),
            self.term(
                "activation_memory",
                most(forward, growth),
                "formula_forward",
                values,
                "the forward description",
                (0.6, 1.6),
            ),
            self.term(
                "framework_overhead",
                self.overhead(stage),
                "formula_context",
                {"gpus": self.layout.tensor},
                "CUDA context, torch CUDABlas.cpp",
                (0.6, 1.6),
            ),
        )

    def read_caches(self, stage: Stage) -> tuple[LayerCache, ...]:
        """States as transformers keeps them: whole kernels, the model's type."""
        return rank_cache(
            self.layout, stage, StateRule(self.kv_dtype, self.kv_dtype, short_convolution=False)
        )

    def cache_bytes(self, stage: Stage, batch: int, length: int) -> int:
        """What the cache object holds after a forward pass: latents as they are, window - 1 tokens."""
        return batch * sum(
            c.layers * (up(self._kept(c, length) * (c.kept * self.kv_element + c.kept_indexer)) + c.state)
            for c in self.caches(stage)
        )

    def _kept(self, cache: LayerCache, length: int) -> int:
        if cache.cross:
            return self.source(length)
        reach = cache.chunk or cache.window
        return length if reach is None or reach < 2 else least(length, reach - 1)

    def room(self, stage: Stage, batch: int, length: int) -> int:
        """All of the card that is not taken otherwise."""
        forward = most(self.activations(stage, batch, length), self.growth(stage, batch, length))
        return self.device.total - self.weights(stage) - forward - self.overhead(stage)


class PytorchDeployment(TransformersDeployment):
    """Plain PyTorch: a cache made once at full length, a forward pass, nothing of a library's own."""

    backend = "pytorch"
    static_cache = True

    def cache_bytes(self, stage: Stage, batch: int, length: int) -> int:
        """Keys and values of every token, latents kept as they are, states of fixed size."""
        return batch * sequence_bytes(self.caches(stage), length, self.kv_element, source=self.source(length))


class FastchatDeployment(TransformersDeployment):
    """FastChat's model worker: transformers behind a controller; float16 on GPUs unless told otherwise.

    Source: FastChat `model/model_adapter.py` (`load_model`: kwargs["torch_dtype"] = torch.float16).
    """

    backend = "fastchat"
    narrow_float32 = True
