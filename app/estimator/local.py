"""The public interface without a server: the same paths, checks and answers, in this process.

Whoever speaks to a server by path and body can speak to `Local` instead: the command line does either.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from ..api.error_body import error_body
from ..api.schemas.base import StrictSchema
from ..errors import DomainError, InvalidRequest, UnknownName
from ..messages import Language, Message
from ..service import Calculation, Service
from ..settings import Settings, read_settings

if TYPE_CHECKING:
    from ..sweeps.local import Sweep

Answer = dict[str, Any]
Body = Mapping[str, Any]

# The schema that checks each path, by module and name: one is imported and made when first needed.
_SCHEMAS: Final[Mapping[str, tuple[str, str]]] = {
    "/api/memory/inference": ("inference", "InferenceSchema"),
    "/api/memory/training": ("training", "TrainingSchema"),
    "/api/memory/compare": ("others", "CompareSchema"),
    "/api/performance/inference": ("performance", "PerformanceSchema"),
    "/api/performance/training": ("training_speed", "TrainingSpeedSchema"),
    "/api/performance/compare": ("performance", "ComparePerformanceSchema"),
    "/api/recommend": ("recommend", "RecommendSchema"),
    "/api/v1/inference/estimate": ("v1", "EstimateInferenceSchema"),
    "/api/v1/training/estimate": ("v1", "EstimateTrainingSchema"),
    "/api/sweeps": ("sweeps", "SweepSchema"),
    "/api/calibrate": ("calibration", "CalibrateSchema"),
    "/api/validate/log": ("validation", "LogSchema"),
    "/api/models": ("others", "ModelsQuery"),
    "/api/models/": ("others", "ModelQuery"),
    "/api/models/inspect": ("others", "InspectSchema"),
    "/api/gpus": ("others", "GpusQuery"),
}


@cache
def schema_of(path: str) -> StrictSchema:
    """The schema that checks what is sent to a path."""
    module, name = _SCHEMAS[path]
    schema: StrictSchema = getattr(import_module(f"..api.schemas.{module}", __package__), name)()
    return schema


class _Query(dict[str, Any]):
    """Query parameters as a query schema reads them: text, each name with all its values."""

    def lists(self) -> list[tuple[str, list[str]]]:
        return [(name, [_as_text(value)]) for name, value in self.items() if value is not None]


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Local:
    """The interface over a service of one's own; `language` is that of sentences in answers."""

    def __init__(self, settings: Settings | None = None, language: Language = "en") -> None:
        self._given = settings
        self.language: Language = language

    @cached_property
    def settings(self) -> Settings:
        """The settings that were given, else those of the environment."""
        return self._given or read_settings()

    @cached_property
    def service(self) -> Service:
        """The service, made when first asked: reading the registry takes a moment."""
        return Service(self.settings)

    def post(self, path: str, body: Body, query: Body | None = None) -> Answer:
        """The answer of `POST path`; raises `DomainError` where the server would answer an error."""
        answer = _POSTS.get(path)
        if answer is None:
            raise _no_such(path)
        return answer(self, _plain(body), query or {})

    def get(self, path: str, query: Body | None = None) -> Answer:
        """The answer of `GET path`; raises `DomainError` where the server would answer an error."""
        asked = query or {}
        for prefix, one in _ONES:
            if path.startswith(prefix):
                return one(self, path.removeprefix(prefix), asked)
        answer = _GETS.get(path)
        if answer is None:
            raise _no_such(path)
        return answer(self, asked)

    def _model(self, name: str, query: Body) -> Answer:
        return self.service.model(name, schema_of("/api/models/").load(_Query(query)), self.language)

    def _gpu(self, name: str, _query: Body) -> Answer:
        return self.service.gpu(name, self.language)

    def _memory(self, calculation: Calculation, body: Body) -> Answer:
        return self.service.memory(
            calculation, schema_of(f"/api/memory/{calculation}").load(body), self.language
        )

    def _compare(self, body: Body) -> Answer:
        values = schema_of("/api/memory/compare").load(body)
        calculation: Calculation = values["calculation_type"]
        check = schema_of(f"/api/memory/{calculation}").load
        asked = values["configurations"]
        return self.service.compare(calculation, asked, check, self._refuse, self.language)

    def _performance(self, calculation: Calculation, body: Body) -> Answer:
        values = self._calibrated(schema_of(f"/api/performance/{calculation}").load(body))
        return self.service.performance(calculation, values, self.language)

    def _compare_performance(self, body: Body) -> Answer:
        values = schema_of("/api/performance/compare").load(body)
        calculation: Calculation = values["calculation_type"]
        schema, asked = schema_of(f"/api/performance/{calculation}"), values["configurations"]

        def check(each: Any) -> Body:
            return self._calibrated(schema.load(each))

        return self.service.compare_performance(calculation, asked, check, self._refuse, self.language)

    def _recommend(self, body: Body) -> Answer:
        values = self._calibrated(schema_of("/api/recommend").load(body))
        return self.service.recommend(values, self.language)

    def _whole(self, calculation: Calculation, body: Body) -> Answer:
        values = self._calibrated(schema_of(f"/api/v1/{calculation}/estimate").load(body))
        return self.service.whole(calculation, values, self.language)

    def sweep(self, body: Body, processes: int | None = 0) -> "Sweep":
        """The sweep that a body asks for, computed as it is read; raises `InvalidRequest`."""
        from ..api.schemas.sweeps import POINTS
        from ..sweeps.ask import grid_of_request
        from ..sweeps.local import Sweep
        from ..sweeps.sizes import check_size

        values = schema_of("/api/sweeps").load(_plain(body))
        check = POINTS[values["calculation"]].load
        grid = grid_of_request(values, lambda point: self._calibrated(check(point)), self.service.lookup)
        check_size(grid, self.settings.sweep_points)
        return Sweep(grid, self.service.lookup, processes)

    def _calibrate(self, body: Body) -> Answer:
        return self.service.calibrations.calibrate(schema_of("/api/calibrate").load(body), self.language)

    def _calibrated(self, values: Body) -> Body:
        """The request with the calibration that it names."""
        if not isinstance(values.get("calibration"), str):
            return values
        return self.service.calibrations.put_in(values)

    def _calibration(self, name: str, _query: Body) -> Answer:
        return self.service.calibrations.find(name)

    def _refuse(self, error: DomainError) -> Answer:
        return error_body(error, self.language)

    def _inspect(self, body: Body, query: Body) -> Answer:
        values = schema_of("/api/models/inspect").load(body)
        wanted = schema_of("/api/models/").load(_Query(query))
        if "repo_id" in values:
            return self.service.inspect_file(values, wanted, self.language)
        return self.service.inspect(values["config"], wanted, self.language)

    def inspect_file(self, path: Path, query: Body) -> Answer:
        """What a GGUF file on this machine holds and makes; raises `DomainError`."""
        from ..service.gguf_models import inspect_local

        return inspect_local(path, schema_of("/api/models/").load(_Query(query)), self.language)

    def _validate(self, body: Body) -> Answer:
        return self.service.validate_log(schema_of("/api/validate/log").load(body), self.language)


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
    "/api/sweeps": lambda local, body, _query: local.sweep(body).answer(),
    "/api/calibrate": lambda local, body, _query: local._calibrate(body),
    "/api/models/inspect": lambda local, body, query: local._inspect(body, query),
    "/api/validate/log": lambda local, body, _query: local._validate(body),
}


_ONES: Final[Sequence[tuple[str, Callable[[Local, str, Body], Answer]]]] = (
    ("/api/models/", Local._model),
    ("/api/gpus/", Local._gpu),
    ("/api/calibrations/", Local._calibration),
)

_GETS: Final[Mapping[str, Callable[[Local, Body], Answer]]] = {
    "/api/models": lambda local, query: local.service.models(schema_of("/api/models").load(_Query(query))),
    "/api/gpus": lambda local, query: local.service.gpus(schema_of("/api/gpus").load(_Query(query))),
    "/api/calibrations": lambda local, _query: local.service.calibrations.every(),
    "/api/accuracy": lambda local, _query: local.service.accuracy(),
}


def _plain(body: Body) -> Any:
    """The body as JSON would carry it, so that the checks see what a server would see."""
    try:
        return orjson.loads(orjson.dumps(body))
    except orjson.JSONEncodeError as error:
        raise InvalidRequest(Message("bad_json", {"reason": str(error)[:200]})) from error


def _no_such(path: str) -> DomainError:
    return UnknownName(Message("unknown_path", {"path": path, "closest": ", ".join((*_POSTS, *_GETS))}))
