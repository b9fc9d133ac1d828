"""The public interface without a server: the same paths, checks and answers, in this process.

Whoever speaks to a server by path and body can speak to `Local` instead: the command line does either.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

import orjson

from ..api.error_body import error_body
from ..api.schemas.base import StrictSchema
from ..api.schemas.inference import InferenceSchema
from ..api.schemas.others import CompareSchema, GpusQuery, InspectSchema, ModelQuery, ModelsQuery
from ..api.schemas.performance import ComparePerformanceSchema, PerformanceSchema
from ..api.schemas.recommend import RecommendSchema
from ..api.schemas.training import TrainingSchema
from ..api.schemas.training_speed import TrainingSpeedSchema
from ..api.schemas.v1 import EstimateInferenceSchema, EstimateTrainingSchema
from ..api.schemas.validation import LogSchema
from ..errors import DomainError, InvalidRequest, UnknownName
from ..messages import Language, Message
from ..service import Calculation, Service
from ..settings import Settings, read_settings

Answer = dict[str, Any]
Body = Mapping[str, Any]

_MEMORY: Final[Mapping[Calculation, StrictSchema]] = {
    "inference": InferenceSchema(),
    "training": TrainingSchema(),
}
_COMPARE: Final = CompareSchema()
_SPEED: Final[Mapping[Calculation, StrictSchema]] = {
    "inference": PerformanceSchema(),
    "training": TrainingSpeedSchema(),
}
_COMPARE_SPEED: Final = ComparePerformanceSchema()
_RECOMMEND: Final = RecommendSchema()
_WHOLE: Final[Mapping[Calculation, StrictSchema]] = {
    "inference": EstimateInferenceSchema(),
    "training": EstimateTrainingSchema(),
}
_INSPECT: Final = InspectSchema()
_LOG: Final = LogSchema()
_MODEL: Final = ModelQuery()
_MODELS: Final = ModelsQuery()
_GPUS: Final = GpusQuery()


class _Query(dict[str, Any]):
    """Query parameters as a query schema reads them: text, each name with all its values."""

    def lists(self) -> list[tuple[str, list[str]]]:
        return [(name, [_as_text(value)]) for name, value in self.items() if value is not None]


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Local:
    """The interface over a service of one's own; `language` is that of sentences in answers."""

    def __init__(self, settings: Settings | None = None, language: Language = "en") -> None:
        self._settings = settings
        self.language: Language = language

    @cached_property
    def service(self) -> Service:
        """The service, made when first asked: reading the registry takes a moment."""
        return Service(self._settings or read_settings())

    def post(self, path: str, body: Body, query: Body | None = None) -> Answer:
        """The answer of `POST path`; raises `DomainError` where the server would answer an error."""
        answer = _POSTS.get(path)
        if answer is None:
            raise _no_such(path)
        return answer(self, _plain(body), query or {})

    def get(self, path: str, query: Body | None = None) -> Answer:
        """The answer of `GET path`; raises `DomainError` where the server would answer an error."""
        asked = query or {}
        for prefix, one in (("/api/models/", self._model), ("/api/gpus/", self._gpu)):
            if path.startswith(prefix):
                return one(path.removeprefix(prefix), asked)
        answer = _GETS.get(path)
        if answer is None:
            raise _no_such(path)
        return answer(self, asked)

    def _model(self, name: str, query: Body) -> Answer:
        return self.service.model(name, _MODEL.load(_Query(query)), self.language)

    def _gpu(self, name: str, _query: Body) -> Answer:
        return self.service.gpu(name, self.language)

    def _memory(self, calculation: Calculation, body: Body) -> Answer:
        return self.service.memory(calculation, _MEMORY[calculation].load(body), self.language)

    def _compare(self, body: Body) -> Answer:
        values = _COMPARE.load(body)
        calculation: Calculation = values["calculation_type"]
        check = _MEMORY[calculation].load
        asked = values["configurations"]
        return self.service.compare(calculation, asked, check, self._refuse, self.language)

    def _performance(self, calculation: Calculation, body: Body) -> Answer:
        return self.service.performance(calculation, _SPEED[calculation].load(body), self.language)

    def _compare_performance(self, body: Body) -> Answer:
        values = _COMPARE_SPEED.load(body)
        calculation: Calculation = values["calculation_type"]
        check, asked = _SPEED[calculation].load, values["configurations"]
        return self.service.compare_performance(calculation, asked, check, self._refuse, self.language)

    def _recommend(self, body: Body) -> Answer:
        return self.service.recommend(_RECOMMEND.load(body), self.language)

    def _whole(self, calculation: Calculation, body: Body) -> Answer:
        return self.service.whole(calculation, _WHOLE[calculation].load(body), self.language)

    def _refuse(self, error: DomainError) -> Answer:
        return error_body(error, self.language)

    def _inspect(self, body: Body, query: Body) -> Answer:
        config = _INSPECT.load(body)["config"]
        return self.service.inspect(config, _MODEL.load(_Query(query)), self.language)

    def _validate(self, body: Body) -> Answer:
        return self.service.validate_log(_LOG.load(body), self.language)


_POSTS: Final[Mapping[str, Callable[[Local, Body, Body], Answer]]] = {
    "/api/memory/inference": lambda local, body, _query: local._memory("inference", body),
    "/api/memory/training": lambda local, body, _query: local._memory("training", body),
    "/api/memory/compare": lambda local, body, _query: local._compare(body),
    "/api/performance/inference": lambda local, body, _query: local._performance("inference", body),
    "/api/performance/training": lambda local, body, _query: local._performance("training", body),
    "/api/performance/compare": lambda local, body, _query: local._compare_performance(body),
    "/api/recommend": lambda local, body, _query: local._recommend(body),
    "/api/v1/inference/estimate": lambda local, body, _query: local._whole("inference", body),
    "/api/v1/training/estimate": lambda local, body, _query: local._whole("training", body),
    "/api/models/inspect": lambda local, body, query: local._inspect(body, query),
    "/api/validate/log": lambda local, body, _query: local._validate(body),
}


def _accuracy(_local: Local, _query: Body) -> Answer:
    from ..accuracy import accuracy_report

    return dict(accuracy_report())


_GETS: Final[Mapping[str, Callable[[Local, Body], Answer]]] = {
    "/api/models": lambda local, query: local.service.models(_MODELS.load(_Query(query))),
    "/api/gpus": lambda local, query: local.service.gpus(_GPUS.load(_Query(query))),
    "/api/accuracy": _accuracy,
}


def _plain(body: Body) -> Any:
    """The body as JSON would carry it, so that the checks see what a server would see."""
    try:
        return orjson.loads(orjson.dumps(body))
    except orjson.JSONEncodeError as error:
        raise InvalidRequest(Message("bad_json", {"reason": str(error)[:200]})) from error


def _no_such(path: str) -> DomainError:
    return UnknownName(Message("unknown_path", {"path": path, "closest": ", ".join((*_POSTS, *_GETS))}))
