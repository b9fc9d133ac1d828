"""The request of `POST /api/memory/inference`; defaults are those of the question itself."""

from collections.abc import Mapping
from typing import Any, ClassVar

from ...errors import Problem
from ...memory.requests import InferenceRequest
from ...messages import Message
from .. import choices
from .base import Rule, StrictSchema
from .defaults import default_of
from .fields import Boolean, Choice, Integer, Nested, Number, Text, TextOrObject
from .model import LARGEST_BATCH, LONGEST, MOST_GPUS, ModelSchema

_default = default_of(InferenceRequest)


def one_length(data: Mapping[str, Any], prefix: str) -> Problem | None:
    """`sequence_length`, or `input_length` with `output_length`; not both ways."""
    if "sequence_length" in data and ("input_length" in data or "output_length" in data):
        other = "input_length" if "input_length" in data else "output_length"
        field = prefix + "sequence_length"
        return Problem(field, Message("two_lengths", {"field": field, "other": prefix + other}))
    if "output_length" in data and "input_length" not in data:
        field = prefix + "input_length"
        return Problem(field, Message("is_missing", {"field": field}))
    return None


class DraftSchema(ModelSchema):
    """The draft of speculative decoding."""


class SpeculativeSchema(StrictSchema):
    """A draft that proposes tokens."""

    draft = TextOrObject(
        "The draft model: a name, or an object with one of the three forms of a model.",
        schema=DraftSchema(),
        required=True,
    )
    num_tokens = Integer("Tokens proposed in a step.", most=1024, required=True)


class ImagesSchema(StrictSchema):
    """Pictures in every sequence."""

    count = Integer("Pictures in a sequence.", most=4096, default=1)
    width = Integer("Pixels of a picture's width.", most=2**16, default=1024)
    height = Integer("Pixels of a picture's height.", most=2**16, default=1024)


class PresentationSchema(StrictSchema):
    """How the answer is to look."""

    unit = Choice("Unit of the strings; integers are always bytes.", of=choices.UNITS, default="GB")
    explain = Boolean("Whether the answer explains each term [true; in a compare false].")


class InferenceSchema(ModelSchema, PresentationSchema):
    """What is served, how, and on what."""

    rules: ClassVar[tuple[Rule, ...]] = (*ModelSchema.rules, one_length)

    batch_size = Integer(
        "Sequences in flight over the whole deployment.", most=LARGEST_BATCH, default=_default("batch_size")
    )
    sequence_length = Integer(
        "All tokens of a sequence, and the runtime's longest length.",
        most=LONGEST,
        default=_default("sequence_length"),
    )
    shared_prefix_length = Integer(
        "Tokens that all sequences begin with; a runtime that caches prefixes keeps them once.",
        least=0,
        most=LONGEST,
        default=_default("shared_prefix_length"),
    )
    input_length = Integer("Instead of sequence_length: tokens read.", most=LONGEST)
    output_length = Integer("With input_length: tokens written [0].", least=0, most=LONGEST)
    kv_cache_dtype = Choice(
        "Data type of the cache; auto is the compute type.",
        of=choices.KV_CACHE_DTYPES,
        default=_default("kv_cache_dtype"),
    )
    backend = Choice("The runtime.", of=choices.BACKENDS, default=_default("backend"))
    backend_version = Text(
        "Its version [newest that the rules cover].", longest=32, default=_default("backend_version")
    )
    attention = Choice("Attention implementation.", of=choices.ATTENTIONS, default=_default("attention"))
    tensor_parallel = Integer(
        "GPUs that share each matrix.", most=MOST_GPUS, default=_default("tensor_parallel")
    )
    pipeline_parallel = Integer("Stages of layers.", most=MOST_GPUS, default=_default("pipeline_parallel"))
    data_parallel = Integer("Replicas.", most=MOST_GPUS, default=_default("data_parallel"))
    expert_parallel = Integer("Groups of experts.", most=MOST_GPUS, default=_default("expert_parallel"))
    context_parallel = Integer(
        "Shares of the sequence.", most=MOST_GPUS, default=_default("context_parallel")
    )
    gpu = TextOrObject("A name, or an object whose fields override the named one's.", default=_default("gpu"))
    gpus_per_node = Integer("GPUs in a machine.", most=MOST_GPUS, default=_default("gpus_per_node"))
    gpu_memory_utilization = Number(
        "Share of the card that the runtime lets itself use [its own default].",
        above=0,
        most=1,
        default=_default("gpu_memory_utilization"),
    )
    max_num_seqs = Integer("Most sequences in a step.", most=LARGEST_BATCH, default=_default("max_num_seqs"))
    max_num_batched_tokens = Integer(
        "Most tokens in a step.", most=LONGEST, default=_default("max_num_batched_tokens")
    )
    block_size = Integer("Tokens in a page of the cache.", most=2**16, default=_default("block_size"))
    enforce_eager = Boolean("Whether no graphs are captured.", default=_default("enforce_eager"))
    max_loras = Integer(
        "Adapters held beside the weights.", least=0, most=4096, default=_default("max_loras")
    )
    max_lora_rank = Integer("Largest rank of an adapter.", most=4096, default=_default("max_lora_rank"))
    speculative = Nested(SpeculativeSchema, "Speculative decoding.", default=_default("speculative"))
    images = Nested(ImagesSchema, "Pictures in every sequence.", default=_default("images"))
    solve_for = Choice(
        "A question to solve beside.", of=choices.INFERENCE_QUESTIONS, default=_default("solve_for")
    )
