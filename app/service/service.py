"""The one place of orchestration: checked values in, names resolved, a question asked, an answer out.

Every face (HTTP, command line, Python) goes through these functions, so all of them give the same answer.
Values are those that the schemas accept: canonical names, right types, unknown fields refused.

Training, speed, plans, logs and the hub are imported when first asked for: a command line answers one
question and pays for one.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

from ..budget import turn
from ..errors import DomainError, StoreDown
from ..memory.estimate import Estimate
from ..memory.inference import estimate_inference
from ..memory.requests import InferenceRequest, TrainingRequest
from ..messages import Language, Message
from ..registry.models import ModelEntry, select
from ..settings import Settings
from ..store import Store
from . import inspection
from .answer import Style, needed_bytes, render, warning
from .comparison import Comparison
from .lookup import Lookup, name_of
from .questions import Question, inference_question, training_question
from .watch import Watch

if TYPE_CHECKING:
    from ..registry.gguf_files import GgufModel
    from ..registry.hub import HubClient
    from ..store.tokens import Tokens as StoredTokens
    from .calibration_shelf import Calibrations

Calculation = Literal["inference", "training"]
Values = Mapping[str, Any]
Answer = dict[str, Any]
T = TypeVar("T")

_TOTALS: Final = {"inference": "inference_memory", "training": "training_memory"}


class Service:
    """The calculations over what can be looked up."""

    def __init__(self, settings: Settings, watch: Watch | None = None) -> None:
        self.store = Store.from_settings(settings)
        self.lookup = Lookup(settings, self.store)
        self._watch = watch or Watch()
        self.store.on_dropped = self._watch.dropped
        self._settings = settings

    @cached_property
    def _hub(self) -> "HubClient":
        from ..registry.hub import HubClient

        return HubClient.from_settings(self._settings)

    def stored_tokens(self) -> "StoredTokens | None":
        """API tokens by their hash, or None while nothing was ever kept."""
        return None if self.store.address.untouched else self.store.tokens

    @cached_property
    def calibrations(self) -> "Calibrations":
        """Corrections by measurements of one's own, and those that are kept under names."""
        from .calibration_shelf import Calibrations

        return Calibrations(self.lookup, lambda: self.store.calibrations)

    def memory(self, calculation: Calculation, values: Values, language: Language = "en") -> Answer:
        """The answer of `POST /api/memory/inference` or `/training`; raises `DomainError`."""
        return self._answer(calculation, values, language, explain=bool(values.get("explain", True)))

    def compare(
        self,
        calculation: Calculation,
        configurations: Sequence[Any],
        check: Callable[[Any], Values],
        refuse: Callable[[DomainError], Answer],
        language: Language = "en",
    ) -> Answer:
        """The answer of `POST /api/memory/compare`.

        `check` turns each configuration as it came into checked values, `refuse` turns what is wrong with
        one into the object that stands in its place.
        """
        results: list[Answer] = []
        accepted: list[Values | None] = []
        sizes: list[Mapping[str, int] | None] = []
        for configuration in configurations:
            try:
                turn()
                values = check(configuration)
                explain = bool(values.get("explain", False))
                answer = self._answer(calculation, values, language, explain)
            except DomainError as error:
                results.append(refuse(error))
                accepted.append(None)
                sizes.append(None)
            else:
                results.append(answer)
                accepted.append(values)
                sizes.append(answer["memory_bytes"])
        comparison = Comparison(accepted, sizes, lambda values: self._sizes(calculation, values))
        summary = comparison.summary(_TOTALS[calculation])
        return {"calculation_type": calculation, "results": results, "summary": summary}

    def validate_log(self, values: Values, language: Language = "en") -> Answer:
        """The answer of `POST /api/validate/log`."""
        from .validation import validate_log

        given = {name: value for name, value in values.items() if name != "log"}
        answer, warnings = validate_log(values["log"], given, self.lookup)
        return {**answer, "warnings": [warning(message, language) for message in warnings]}

    def accuracy(self) -> Answer:
        """The answer of `GET /api/accuracy`."""
        from ..accuracy import accuracy_report, speed_report

        return {**accuracy_report(), "speed": speed_report()}

    def performance(self, calculation: Calculation, values: Values, language: Language = "en") -> Answer:
        """The answer of `POST /api/performance/inference` or `/training`; raises `DomainError`."""
        return self._timed(calculation, values, language, explain=bool(values.get("explain", True)))

    def compare_performance(
        self,
        calculation: Calculation,
        configurations: Sequence[Any],
        check: Callable[[Any], Values],
        refuse: Callable[[DomainError], Answer],
        language: Language = "en",
    ) -> Answer:
        """The answer of `POST /api/performance/compare`, as `compare`."""
        from .speed_answer import speed_summary
        from .training_speed_answer import training_speed_summary

        results: list[Answer] = []
        for configuration in configurations:
            try:
                turn()
                values = check(configuration)
                explain = bool(values.get("explain", False))
                results.append(self._timed(calculation, values, language, explain))
            except DomainError as error:
                results.append(refuse(error))
        summary = speed_summary(results) if calculation == "inference" else training_speed_summary(results)
        return {"calculation_type": calculation, "results": results, "summary": summary}

    def recommend(self, values: Values, language: Language = "en") -> Answer:
        """The answer of `POST /api/recommend`; raises `DomainError`."""
        from .plan_answer import render_plan
        from .plan_questions import plan_question
        from .recommendation import recommend

        question = plan_question(values, self.lookup)
        found = recommend(question)
        self._count("recommend", values, question.model.name)
        style = Style(language, values.get("unit", "GB"), bool(values.get("explain", True)))
        return render_plan(
            question.model, found, question.request, question.parameters, style, question.warnings,
            launch=style.explain,
        )  # fmt: skip

    def whole(self, calculation: Calculation, values: Values, language: Language = "en") -> Answer:
        """The answer of `POST /api/v1/inference/estimate` or `/training/estimate`; raises `DomainError`."""
        from .whole_estimate import whole_estimate

        return whole_estimate(
            calculation,
            values,
            lambda asked: self.recommend(asked, language),
            lambda asked: self.performance(calculation, asked, language),
            lambda message: warning(message, language),
        )

    def models(self, query: Values, language: Language = "en") -> Answer:
        """The answer of `GET /api/models`."""
        query = dict(query)
        offset, limit = query.pop("offset", 0), query.pop("limit", None)
        names, details = query.pop("names", None), query.pop("details", False)
        entries, warnings = self._every_model()
        if names:
            asked = {name.strip() for name in names.split(",")}
            entries = [entry for entry in entries if entry.name in asked]
        if details:
            limit = min(limit or inspection.MOST_DETAILED, inspection.MOST_DETAILED)
        found = select(entries, **query)
        page = found[offset : None if limit is None else offset + limit]
        answer = {"models": [inspection.summary(entry, details) for entry in page], "total": len(found)}
        return {**answer, "warnings": [warning(each, language) for each in warnings]} if warnings else answer

    def _every_model(self) -> tuple[list[ModelEntry], list[Message]]:
        """All models; while the store is down, users' own are those that were seen last, and that is said."""
        models = self.lookup.models
        try:
            return models.all(), []
        except StoreDown as error:
            return [*models.builtin, *models.store.last_known()], [error.message]

    def model(self, name: str, query: Values, language: Language = "en") -> Answer:
        """The answer of `GET /api/models/{name}`."""
        match = self.lookup.named(name)
        return _with_tensors(inspection.inspect(match.entry, match.warnings, language), match.entry, query)

    def inspect(self, config: Values, query: Values, language: Language = "en") -> Answer:
        """The answer of `POST /api/models/inspect`."""
        entry = ModelEntry(name_of(config), None, config, source="request", builtin=False)
        return _with_tensors(inspection.inspect(entry, (), language), entry, query)

    def inspect_file(self, values: Values, query: Values, language: Language = "en") -> Answer:
        """The same of a GGUF file of the hub; raises as registering it would."""
        from .gguf_models import Origin, entry_of, tensors

        found = self._gguf_of_hub(values)
        origin = Origin(self._hub.source(values.get("revision")), values["repo_id"])
        entry, warnings = entry_of(found, origin, values)
        answer = inspection.inspect(entry, warnings, language)
        return answer | tensors(found, query)

    def register(self, values: Values, language: Language = "en") -> Answer:
        """The answer of `POST /api/models`: a model of one's own, from a configuration or from the hub."""
        entry, warnings = self._new_entry(values)
        return inspection.inspect(self.lookup.models.add(entry), warnings, language)

    def replace(self, name: str, config: Values, language: Language = "en") -> Answer:
        """The answer of `PUT /api/models/{name}`."""
        entry = self.lookup.models.change(name, ModelEntry(name, None, config, source="user", builtin=False))
        return inspection.inspect(entry, (), language)

    def delete(self, name: str) -> None:
        """Forget a model of one's own."""
        self.lookup.models.delete(name)

    def gpus(self, query: Values) -> Answer:
        """The answer of `GET /api/gpus`."""
        found = self.lookup.gpus.list(query.get("type"), query.get("vendor"), query.get("min_memory_gb"))
        return {
            "gpus": [inspection.gpu(each, self.lookup.gpus.aliases(each.name)) for each in found],
            "total": len(found),
        }

    def gpu(self, name: str, language: Language = "en") -> Answer:
        """The answer of `GET /api/gpus/{name}`."""
        match = self.lookup.gpu(name)
        found = inspection.gpu(match.accelerator, self.lookup.gpus.aliases(match.accelerator.name))
        messages = (*match.warnings, *match.accelerator.warnings())
        return {**found, "warnings": [warning(message, language) for message in messages]}

    def failures(self) -> list[str]:
        """What keeps the service from answering; empty when it is ready."""
        found = [] if len(self.lookup.models.builtin) and len(self.lookup.gpus) else ["registry"]
        try:
            self.lookup.models.store.check()
        except DomainError as error:
            found.append(str(error))
        return found

    def _new_entry(self, values: Values) -> tuple[ModelEntry, tuple[Message, ...]]:
        if (repo_id := values.get("repo_id")) is None:
            return ModelEntry(values["name"], None, values["config"], source="user", builtin=False), ()
        if "file" in values:
            from .gguf_models import Origin, entry_of

            origin = Origin(self._hub.source(values.get("revision")), repo_id)
            return entry_of(self._gguf_of_hub(values), origin, values)
        revision = values.get("revision")
        found = self._asked(lambda: self._hub.model(repo_id, revision))
        return found.entry(values.get("name")), ()

    def _gguf_of_hub(self, values: Values) -> "GgufModel":
        return self._asked(lambda: self._hub.gguf(values["repo_id"], values["file"], values.get("revision")))

    def _asked(self, ask: Callable[[], T]) -> T:
        """What the hub says, counted."""
        try:
            found = ask()
        except DomainError as error:
            self._watch.asked_hub(error.code)
            raise
        self._watch.asked_hub("ok")
        return found

    def _count(self, kind: str, values: Values, model: str) -> None:
        """Tell of an estimate; models that are not the registry's go without their names."""
        builtin = "model_name" in values and self.lookup.is_builtin(model)
        self._watch.estimated(kind, model if builtin else "custom")

    def _answer(self, calculation: Calculation, values: Values, language: Language, explain: bool) -> Answer:
        question, estimate = self._ask(calculation, values)
        self._count(f"memory_{calculation}", values, question.request.model.name)
        style = Style(language, values.get("unit", "GB"), explain)
        parameters = {**question.parameters, "explain": explain}
        return render(calculation, question.request.model, estimate, parameters, style, question.warnings)

    def _timed(self, calculation: Calculation, values: Values, language: Language, explain: bool) -> Answer:
        style = Style(language, values.get("unit", "GB"), explain)
        if calculation == "training":
            return self._timed_training(values, style)
        from ..performance.inference import estimate_performance
        from .speed_answer import render_speed
        from .speed_questions import speed_question

        question = speed_question(values, self.lookup)
        found = estimate_performance(question.request)
        parameters = {**question.parameters, "explain": explain}
        model = question.request.serving.model
        self._count("performance_inference", values, model.name)
        return render_speed(model, found, parameters, style, question.warnings)

    def _timed_training(self, values: Values, style: Style) -> Answer:
        from ..memory.training.estimate import estimate_training
        from ..performance.training import estimate_training_performance
        from .training_speed_answer import render_training_speed
        from .training_speed_question import training_speed_question

        question = training_speed_question(values, self.lookup)
        training = question.request.training
        found = estimate_training_performance(question.request)
        memory = estimate_training(training)
        self._count("performance_training", values, training.model.name)
        parameters = {**question.parameters, "explain": style.explain}
        return render_training_speed(training.model, found, memory, parameters, style, question.warnings)

    def _ask(self, calculation: Calculation, values: Values) -> tuple[Question, Estimate]:
        if calculation == "inference":
            question = inference_question(values, self.lookup)
            return question, estimate_inference(cast(InferenceRequest, question.request))
        from ..memory.training.estimate import estimate_training

        question = training_question(values, self.lookup)
        return question, estimate_training(cast(TrainingRequest, question.request))

    def _sizes(self, calculation: Calculation, values: Values) -> Mapping[str, int] | None:
        """The bytes of one configuration, or None where it has none."""
        try:
            _, estimate = self._ask(calculation, values)
        except DomainError:
            return None
        return needed_bytes(estimate)


def import_everything() -> None:
    """Import what a first question would; a server does so before it forks, so that workers share it."""
    from ..architecture.families import read_all
    from ..memory.runtimes import BY_NAME, runtime_of
    from ..memory.training import estimate  # noqa: F401
    from ..performance import disaggregated, inference, load, simulate, training  # noqa: F401
    from ..precision import published  # noqa: F401
    from ..registry import hub  # noqa: F401
    from . import (  # noqa: F401
        calibration_shelf,
        gguf_models,
        plan_answer,
        plan_questions,
        recommendation,
        speed_answer,
        speed_questions,
        training_speed_answer,
        training_speed_question,
        validation,
        whole_estimate,
    )

    read_all()
    for backend in BY_NAME:
        runtime_of(backend)


def _with_tensors(answer: Answer, entry: ModelEntry, query: Values) -> Answer:
    if not query.get("tensors"):
        return answer
    limit = query.get("limit", inspection.MOST_TENSORS)
    return {**answer, **inspection.tensors(entry.architecture, query.get("offset", 0), limit)}
