"""A request set up: the runtime's own capacity and settings, and the engine that its steps run on."""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ..architecture.operations import Attention, Scan
from ..errors import NotSupportedYet, Problem, invalid
from ..hardware import Accelerator
from ..lanes import choose, least, most, some, up, whole
from ..memory.estimate import Estimate
from ..memory.inference import estimate_deployed
from ..memory.requests import InferenceRequest
from ..memory.runtimes import deploy
from ..memory.runtimes.base import Deployment
from ..memory.runtimes.choices import VERSIONS
from ..memory.runtimes.search import largest
from ..memory.weights import StoredModel
from ..messages import Message
from ..parallelism import Layout, Stage
from .coefficients import Ask, Basis, check_speed, rates_of, version_key
from .corrections import rates_on
from .llama_cpp import MICRO_BATCH, WIDE, Shape, llama_rates, turns
from .operations import BLOCKS, Work, read_works, totals
from .requests import PerformanceRequest
from .roofline import Rates
from .speculative import accepted_tokens
from .step import Engine, StageWork

Timed = tuple[Engine, Basis, Ask | Shape]
LLAMA_CPP: Final = ("llama.cpp", "ollama")
UNBOUNDED: Final = 2**20
DEFAULT_BUDGET: Final = 8192
TIMED_FIELDS: Final = ("gpus_per_node",)  # they change no bytes, but they change speed
MEAN_FILL: Final = 0.8  # of its output that a sequence has written when the cache is fullest, on average


class Setup(Struct, frozen=True):
    """Everything that the closed forms and the simulation ask for, of one replica.

    `batch`: sequences asked for. `room`: sequences that run at once, by memory and by the scheduler.
    `ask` or `shape`: what its coefficients were asked for with. `estimate`: memory, worked out when first
    asked for: a search sets up many and answers with few.
    `prompt`: tokens of a prompt that are computed, `cached` those that are found.
    """

    request: PerformanceRequest
    deployment: Deployment
    engine: Engine
    basis: Basis
    ask: Ask | None
    shape: Shape | None
    estimate: Callable[[], Estimate]
    batch: int
    room: int
    fits: bool
    prompt: int
    cached: int
    warnings: tuple[Message, ...]

    @property
    def memory(self) -> Estimate:
        """What each rank holds."""
        return self.estimate()

    @property
    def memory_warnings(self) -> tuple[Message, ...]:
        """What the memory answer warns of, but for fields that matter here."""
        return tuple(m for m in self.memory.warnings if m.params.get("field") not in TIMED_FIELDS)

    @property
    def replicas(self) -> int:
        """Copies of the model."""
        return self.request.serving.data_parallel

    @property
    def gpus(self) -> int:
        """GPUs of the deployment, those that only read prompts among them."""
        return self.deployment.layout.gpus * (2 if self.request.disaggregated else 1)

    @property
    def output(self) -> int:
        """Tokens written by a request."""
        return self.request.output_length

    @property
    def context(self) -> float:
        """Cached tokens of a sequence halfway through its answer."""
        return self.request.input_length + self.output / 2

    def detailed(self) -> list[tuple[int, tuple[Work, ...], int]]:
        """Operations one by one: stages alike, their operations, their layers."""
        d = self.deployment
        return [(s.count, read_works(d.stored, d.layout, s, d.kv_element), stage_layers(s)) for s in d.stages]


def set_up(request: PerformanceRequest, deployed: Deployment | None = None) -> Setup:
    """Set a request up; raises `DomainError` where that cannot be.

    `deployed`: its runtime's part, where that was asked for already.
    """
    serving, warnings = _covered(request.serving)
    gpu = _gpu(serving)
    architecture = serving.model.architecture
    if architecture.kind == "encoder_decoder":
        raise not_yet("model_name", "kind_not_timed", kind=architecture.kind)
    known = deployed is not None and deployed.request is serving
    deployment = deployed if deployed is not None and known else deploy(serving)
    deployment.check()
    engine, basis, ask = _engine(request, deployment, gpu)
    room, fits = _room(deployment, request.input_length, request.output_length)
    cached = whole(request.input_length * request.prefix_hit_rate)
    warnings.extend(_said(basis, gpu, request.serving.backend))
    if architecture.kind == "image_text":
        warnings.append(Message("speed_text_only"))
    return Setup(
        request,
        deployment,
        engine,
        basis,
        ask if isinstance(ask, Ask) else None,
        ask if isinstance(ask, Shape) else None,
        cache(lambda: estimate_deployed(deployment)),
        deployment.batch,
        room,
        fits,
        request.input_length - cached,
        cached,
        tuple(warnings),
    )


def at(setup: Setup, batch_size: int, read: int, written: int) -> Setup:
    """The same replicas asked for other sequences and lengths, of which all may be arrays.

    `memory` stays that of the first question.
    """
    request = replace(setup.request, input_length=read, output_length=written)
    deployment = setup.deployment.at(batch_size, read + written)
    engine = setup.engine
    if setup.request.serving.backend not in LLAMA_CPP:
        engine = replace(engine, budget=_budget(deployment))
    room, fits = _room(deployment, read, written)
    cached = whole(read * request.prefix_hit_rate)
    return replace(
        setup,
        request=request,
        deployment=deployment,
        engine=engine,
        batch=deployment.batch,
        room=room,
        fits=fits,
        prompt=read - cached,
        cached=cached,
    )


def _gpu(serving: InferenceRequest) -> Accelerator:
    if serving.gpu is None:
        raise invalid("gpu", "is_missing")
    check_speed(serving.gpu)
    return serving.gpu


def not_yet(field: str, code: str, **params: object) -> NotSupportedYet:
    """An error for what is documented and not computed."""
    message = Message(code, {"field": field, **params})
    return NotSupportedYet(message, [Problem(field, message)])


def _covered(serving: InferenceRequest) -> tuple[InferenceRequest, list[Message]]:
    """The request with a version whose memory rules are known; speeds are known of older ones too."""
    asked, known = serving.backend_version, VERSIONS.get(serving.backend)
    if asked is None or known is None or not version_key(asked):
        return serving, []
    if version_key(asked) >= version_key(known[0]):
        return serving, []
    message = Message("speed_memory_rules", {"asked": asked[:32], "used": known[0]})
    return replace(serving, backend_version=known[0]), [message]


def _said(basis: Basis, gpu: Accelerator, backend: str) -> list[Message]:
    """What the answer does not rest on."""
    found = []
    if not basis.device_measured:
        found.append(Message("speed_device_prior", {"gpu": gpu.name, "device": basis.device}))
    if not basis.runtime_measured:
        found.append(Message("speed_runtime_prior", {"backend": backend}))
    return found


def _engine(request: PerformanceRequest, deployment: Deployment, gpu: Accelerator) -> Timed:
    """The engine of one replica, with a draft's beside it."""
    serving = request.serving
    if serving.backend in LLAMA_CPP:
        return _llama_cpp(request, deployment, gpu)
    eager = bool(deployment.parameters().get("enforce_eager"))
    ask = Ask(
        serving.backend,
        serving.backend_version,
        deployment.layout,
        deployment.stored.scheme.name,
        eager,
        serving.gpus_per_node,
        request.inter_node_gb_s,
        request.request_rate is not None or request.concurrency is not None,
        sum(stage.count * stage_layers(stage) for stage in deployment.stages),
        sum(stage.count * recurrent_layers(stage) for stage in deployment.stages),
    )
    rates, basis = rates_of(gpu, ask)
    rates = rates_on(rates, request.calibration, gpu, serving.backend)
    engine = _of_place(deployment.stored, deployment.layout, deployment.stages, deployment, rates, request)
    speculative = serving.speculative
    if speculative is None:
        return engine, basis, ask
    draft = None
    if deployment.draft is not None:
        place = deployment.draft
        quiet = replace(rates, step=0.0, sequence=0.0, stream=0.0)
        draft = _of_place(place.stored, place.layout, place.stages, deployment, quiet, request)
    kept = accepted_tokens(speculative.num_tokens, request.acceptance_rate)
    return replace(engine, drafted=speculative.num_tokens, accepted=kept, draft=draft), basis, ask


def _llama_cpp(request: PerformanceRequest, deployment: Deployment, gpu: Accelerator) -> Timed:
    """The engine of llama.cpp's server: micro-batches, devices that take turns."""
    stored, layout = deployment.stored, deployment.layout
    parts = tuple(
        StageWork(s.count, totals(stored, layout, s, deployment.kv_element), stage_layers(s))
        for s in deployment.stages
    )
    attention = [op for _, op in stored.architecture.operations() if isinstance(op, Attention)]
    widest = max((op.key_dim + op.value_dim for op in attention), default=256)
    parameters = stored.architecture.parameters.total
    flash = deployment.parameters().get("attention") != "eager"
    scheme = stored.scheme.name
    hidden = stored.architecture.hidden_size
    active = stored.architecture.parameters.active
    shape = Shape(scheme, active / layout.pipeline, hidden, widest, flash)
    rates, basis = llama_rates(gpu, shape)
    rates = rates_on(rates, request.calibration, gpu, request.serving.backend)
    engine = Engine(parts, rates, MICRO_BATCH, 2.0 * hidden, turns=turns(parameters, scheme not in WIDE))
    return engine, basis, shape


def _of_place(
    stored: StoredModel,
    layout: Layout,
    stages: tuple[Stage, ...],
    deployment: Deployment,
    rates: Rates,
    request: PerformanceRequest,
) -> Engine:
    element = deployment.kv_element
    made = tuple(StageWork(s.count, totals(stored, layout, s, element), stage_layers(s)) for s in stages)
    handover = 2.0 * stored.architecture.hidden_size
    return Engine(made, rates, _budget(deployment), handover, request.expert_skew)


def _budget(deployment: Deployment) -> int:
    """Most tokens of a step."""
    found: int | None = deployment.parameters().get("max_num_batched_tokens")
    return DEFAULT_BUDGET if found is None else found


@lru_cache(maxsize=4096)
def stage_layers(stage: Stage) -> int:
    """Blocks that are run one after the other in one stage."""
    return sum(places for section, places in stage.sections if section.component in BLOCKS)


@lru_cache(maxsize=4096)
def recurrent_layers(stage: Stage) -> int:
    """Those of them that keep a state."""
    return sum(
        places
        for section, places in stage.sections
        if any(isinstance(op, Scan) for op in section.block.operations)
    )


def _room(deployment: Deployment, read: int, written: int) -> tuple[int, bool]:
    """Sequences of such lengths that run at once, and whether even one fits.

    Lengths differ along a batch: the cache is as full as if each had written four fifths of its answer.
    """
    length = up(read + MEAN_FILL * written)
    fits = deployment.slack(1, least(length, deployment.length)) >= 0
    if not some(fits):
        return UNBOUNDED, False
    held = largest(lambda batch: deployment.slack(batch, length), most(1, deployment.largest_batch()))
    scheduled = deployment.parameters().get("max_num_seqs") or UNBOUNDED
    return choose(fits, most(1, least(held, int(scheduled))), UNBOUNDED), fits
