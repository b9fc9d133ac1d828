"""In this process: the pure estimate, a new configuration, the handlers."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import Any

from flask import Flask, request
from flask.testing import EnvironBuilder
from msgspec.structs import replace

from app.api.application import create_app
from app.architecture import read_config
from app.errors import DomainError
from app.memory.inference import estimate_inference
from app.memory.requests import InferenceRequest, Model
from app.service.lookup import Lookup, read_cached
from app.service.questions import inference_question
from app.settings import read_settings

from .timing import best_of

Row = tuple[str, float, float | None]  # what, measured [µs], limit [µs]

BIG = {
    "model_type": "deepseek_v3",
    "num_hidden_layers": 61,
    "n_routed_experts": 256,
    "torch_dtype": "bfloat16",
}
FULL = {
    "model_name": "DeepSeek-V3",
    "batch_size": 64,
    "sequence_length": 8192,
    "kv_cache_dtype": "fp8",
    "tensor_parallel": 8,
    "pipeline_parallel": 2,
    "gpu": "H200",
    "max_num_seqs": 256,
    "max_loras": 4,
}
QUESTIONS = ("max_batch_size", "max_sequence_length", "max_concurrency", "min_gpus")
BODY = {"model_name": "Qwen3-8B", "batch_size": 4, "sequence_length": 4096, "gpu": "H100-80GB"}


def echo() -> Flask:
    """The least that Flask can do with a JSON request."""
    app = Flask("echo")

    @app.post("/echo")
    def reply() -> Any:
        return request.get_json()

    return app


def rows() -> Iterator[Row]:
    """Each measured figure with its limit, where there is one."""
    settings = read_settings({}, data_folder=Path(tempfile.mkdtemp()), access_log=False)
    lookup = Lookup(settings)
    asked = inference_question(BODY, lookup).request
    yield "pure estimate, registry model", best_of(_estimates(asked), 200), 100
    full = inference_question(FULL, lookup).request
    yield "pure estimate, a full policy over two kinds of stages", best_of(_estimates(full), 100), 300
    for question in QUESTIONS:
        solved = replace(full, solve_for=question)
        yield f"solve_for {question}", best_of(partial(estimate_inference, solved), 5), 5000
    name, cold = _slowest_read(lookup)
    yield f"slowest configuration of the registry, read ({name})", cold, 5000
    read = partial(read_cached, BIG)
    yield "a configuration that was read before", best_of(read, 500), 100
    yield "new config.json, 61 layers and 256 experts, and its estimate", best_of(_new_config, 5), 5000
    yield "bare Flask echo, in process", best_of(_posts(echo(), "/echo", BODY), 300), None
    service = create_app(settings)
    inference = _posts(service, "/api/memory/inference", BODY)
    yield "POST /api/memory/inference, in process", best_of(inference, 200), None
    items = [{**BODY, "batch_size": n, "sequence_length": 128 * (n % 32 + 1)} for n in range(1, 1001)]
    compare = {"calculation_type": "inference", "configurations": items}
    yield (
        "compare of 1000 configurations",
        best_of(_posts(service, "/api/memory/compare", compare), 1, 5),
        150_000,
    )


def _estimates(asked: Any) -> Callable[[], object]:
    """Another batch and length at each call, so that no answer can be a remembered one."""
    each = cycle([replace(asked, batch_size=n % 64 + 1, sequence_length=7 * n + 96) for n in range(500)])
    return lambda: estimate_inference(next(each))


def _slowest_read(lookup: Lookup) -> tuple[str, float]:
    """The model whose configuration takes longest to read, best of three each [µs]."""
    found: dict[str, float] = {}
    for entry in lookup.models.builtin:
        with suppress(DomainError):
            found[entry.name] = best_of(partial(read_config, entry.config), 1, 3)
    return max(found.items(), key=lambda item: item[1])


def _new_config() -> object:
    architecture = read_config({**BIG})
    return estimate_inference(InferenceRequest(Model(architecture, "big")))


def _posts(app: Flask, path: str, body: Any) -> Callable[[], object]:
    """A call of the WSGI application itself, as a server makes it."""
    data = json.dumps(body).encode()
    environ = EnvironBuilder(
        app, path, method="POST", data=data, content_type="application/json"
    ).get_environ()

    def post() -> object:
        statuses: list[str] = []
        reply = app({**environ, "wsgi.input": BytesIO(data)}, lambda status, *_: statuses.append(status))
        content = b"".join(reply)
        assert statuses == ["200 OK"], content[:500]
        return content

    return post
