"""The question that the speed of serving answers: a memory question, and how requests come."""

from typing import Final

from msgspec import Struct

from ..memory.requests import InferenceRequest
from .calibration import Calibration

MODES: Final = ("closed_form", "simulate")
TPOT_DEFINITIONS: Final = ("after_first", "all_tokens")
STATISTICS: Final = ("mean", "p50", "p90", "p99")


class PerformanceRequest(Struct, frozen=True):
    """`POST /api/performance/inference`: what is served, and the load on it.

    `serving.batch_size` sequences start together unless `request_rate` [requests/s, Poisson, over the whole
    deployment] or `concurrency` [requests in flight, closed loop] is given. Lengths are tokens of one
    request. `length_cv`: standard deviation of the output length over its mean (a gamma distribution).
    `prefix_hit_rate`: share of prompt tokens whose cache is found. `expert_skew`: exponent of the experts'
    popularity, 0 for all alike. `acceptance_rate`: chance that one drafted token is kept.
    `tpot_definition`: `after_first` (latency after the first token over the other tokens) or `all_tokens`
    (end-to-end latency over all tokens). `calibration`: corrections by measurements of one's own.
    """

    serving: InferenceRequest
    input_length: int = 1024
    output_length: int = 128
    request_rate: float | None = None
    concurrency: int | None = None
    mode: str = "closed_form"
    seed: int = 0
    num_requests: int = 2000
    length_cv: float = 0.0
    prefix_hit_rate: float = 0.0
    expert_skew: float = 0.0
    acceptance_rate: float | None = None
    price_per_hour: float | None = None  # [USD per hour of one GPU]
    inter_node_gb_s: float = 50.0  # in one direction, of one GPU [10^9 bytes/s]
    tpot_definition: str = "after_first"
    disaggregated: bool = False  # prompts on GPUs of their own
    top_ops: int = 10
    calibration: Calibration | None = None
