"""The request of `POST /api/performance/inference`: the memory request, a GPU, and how requests come."""

from collections.abc import Mapping
from typing import Any, ClassVar

from ...errors import Problem
from ...messages import Message
from ...performance.requests import PerformanceRequest
from .. import choices
from .base import Rule
from .coefficients import calibration_field
from .defaults import default_of
from .fields import Boolean, Choice, Integer, Nested, Number, TextOrObject
from .inference import InferenceSchema, SpeculativeSchema
from .others import CompareSchema, Configurations

MOST_REQUESTS = 20_000
MOST_COMPARED = 64

_default = default_of(PerformanceRequest)


def one_load(data: Mapping[str, Any], prefix: str) -> Problem | None:
    """`request_rate` or `concurrency`, not both."""
    if data.get("request_rate") is None or data.get("concurrency") is None:
        return None
    field = prefix + "request_rate"
    return Problem(field, Message("speed_one_load", {"field": field}))


class TimedSpeculativeSchema(SpeculativeSchema):
    """A draft that proposes tokens, and how many are kept."""

    acceptance_rate = Number("Chance that one drafted token is kept [0.65].", most=1)


class PerformanceSchema(InferenceSchema):
    """What is served, on what, and under which load."""

    rules: ClassVar[tuple[Rule, ...]] = (*InferenceSchema.rules, one_load)

    gpu = TextOrObject("A name, or an object whose fields override the named one's.", required=True)
    speculative = Nested(TimedSpeculativeSchema, "Speculative decoding.", default=None)
    request_rate = Number(
        "Requests a second over the whole deployment, Poisson [none: a batch that starts together].",
        above=0,
        most=1e6,
        default=_default("request_rate"),
    )
    concurrency = Integer(
        "Instead: requests in flight, each answered one followed by the next.",
        most=2**20,
        default=_default("concurrency"),
    )
    mode = Choice("Formulas, or a seeded simulation.", of=choices.SPEED_MODES, default=_default("mode"))
    seed = Integer("Of the simulation.", least=0, most=2**31, default=_default("seed"))
    num_requests = Integer(
        "Requests of a run that is simulated, or that never settles.",
        most=MOST_REQUESTS,
        default=_default("num_requests"),
    )
    length_cv = Number(
        "Standard deviation of output lengths over their mean.", most=4, default=_default("length_cv")
    )
    prefix_hit_rate = Number(
        "Share of prompt tokens found in the cache.", most=0.999, default=_default("prefix_hit_rate")
    )
    expert_skew = Number(
        "Exponent of the experts' popularity; 0: all alike.", most=4, default=_default("expert_skew")
    )
    price_per_hour = Number(
        "Of one GPU [the accelerator's own].", most=1e9, default=_default("price_per_hour")
    )
    inter_node_gb_s = Number(
        "Network of one GPU in one direction.", above=0, most=1e6, default=_default("inter_node_gb_s")
    )
    tpot_definition = Choice(
        "What the time per output token is.", of=choices.TPOT_DEFINITIONS, default=_default("tpot_definition")
    )
    disaggregated = Boolean(
        "Whether prompts are read by replicas of their own, one for each that decodes.",
        default=_default("disaggregated"),
    )
    top_ops = Integer("Operations listed.", least=0, most=1000, default=_default("top_ops"))
    calibration = calibration_field()


class ComparePerformanceSchema(CompareSchema):
    """The envelope of a compare of speeds."""

    configurations = Configurations("Requests of that calculation.", most=MOST_COMPARED)
