"""/metrics: the text Prometheus reads, what is counted under which labels, and who may read it."""

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from app.api.application import create_app
from app.api.counts import SharedCounts
from app.api.metrics import BUCKETS, FAMILIES, Metrics
from app.settings import read_settings

from .conftest import AppMaker

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
LLAMA = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


def samples_of(text: str) -> Samples:
    """Every sample by its name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found.get((f"llm_estimate_{name}", frozenset(labels.items())), 0.0)


def read(client: FlaskClient) -> Samples:
    reply = client.get("/metrics")
    assert reply.status_code == 200
    return samples_of(reply.get_data(as_text=True))


class Growth:
    """How much the counts have grown since it was made."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.before = read(client)

    def __call__(self, name: str, **labels: str) -> float:
        return value(read(self.client), name, **labels) - value(self.before, name, **labels)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """Of an application that only these tests ask."""
    folder = tmp_path_factory.mktemp("data")
    return create_app(read_settings({}, data_folder=folder, access_log=False, hub_offline=True)).test_client()


@pytest.fixture
def grown(own: FlaskClient) -> Growth:
    return Growth(own)


def test_prometheus_own_parser_reads_every_family() -> None:
    metrics = Metrics(SharedCounts(1))
    metrics.request("/api/models/<path:name>", "GET", "404", 0.003, 'odd "code"\\\n')
    metrics.estimated("memory_inference", "custom")
    metrics.asked_hub("ok")
    families = {each.name: each for each in text_string_to_metric_families(metrics.text())}
    assert set(families) == {family.name.removesuffix("_total") for family in FAMILIES}
    assert all(each.documentation for each in families.values())
    labels = [sample.labels for sample in families["llm_estimate_errors"].samples]
    assert labels == [{"endpoint": "/api/models/{name}", "code": 'odd "code"\\\n'}]


def test_a_request_is_counted_by_route_method_and_status(own: FlaskClient, grown: Growth) -> None:
    for name in ("Qwen3-8B", "Qwen3-0.6B", "nobody/nothing"):
        own.get(f"/api/models/{name}")
    own.get("/no/such/path")
    own.open("/health", method="BREW")
    route = "/api/models/{name}"
    assert grown("requests_total", endpoint=route, method="GET", status="200") == 2
    assert grown("requests_total", endpoint=route, method="GET", status="404") == 1
    assert grown("requests_total", endpoint="none", method="GET", status="404") == 1
    assert grown("requests_total", endpoint="none", method="other", status="405") == 1
    assert grown("errors_total", endpoint=route, code="not_found") == 1
    assert grown("request_seconds_count", endpoint=route) == 3


def test_estimates_are_counted_by_kind_and_registry_model(own: FlaskClient, grown: Growth) -> None:
    named = {"model_name": "qwen3_8b"}
    impostor = {**LLAMA, "_name_or_path": "Qwen3-8B"}
    for body in (named, {"model_size": 7}, {"config": LLAMA}, {"config": impostor}):
        assert own.post("/api/memory/inference", json=body).status_code == 200
    assert own.post("/api/memory/training", json=named).status_code == 200
    assert own.post("/api/performance/inference", json={**named, "gpu": "H100-80GB"}).status_code == 200
    assert own.post("/api/memory/inference", json={**named, "batch_size": -1}).status_code == 400
    items = [named, {"model_name": "Qwen3-7B"}]
    own.post("/api/memory/compare", json={"calculation_type": "inference", "configurations": items})
    assert grown("estimates_total", kind="memory_inference", model="Qwen3-8B") == 2
    assert grown("estimates_total", kind="memory_inference", model="custom") == 3
    assert grown("estimates_total", kind="memory_training", model="Qwen3-8B") == 1
    assert grown("estimates_total", kind="performance_inference", model="Qwen3-8B") == 1


def test_a_users_own_model_is_custom(own: FlaskClient, grown: Growth) -> None:
    assert own.post("/api/models", json={"name": "secret-project", "config": LLAMA}).status_code == 201
    assert own.post("/api/memory/inference", json={"model_name": "secret-project"}).status_code == 200
    assert "secret-project" not in own.get("/metrics").get_data(as_text=True)
    assert grown("estimates_total", kind="memory_inference", model="custom") == 1


def test_caches_tell_hits_and_misses(own: FlaskClient) -> None:
    body = {"config": {**LLAMA, "vocab_size": 4711}}
    own.post("/api/memory/inference", json=body)
    grown = Growth(own)
    for _ in range(3):
        own.post("/api/memory/inference", json=body)
    assert grown("cache_lookups_total", cache="architectures", result="hit") == 3
    assert grown("cache_lookups_total", cache="architectures", result="miss") == 0


def test_calls_to_the_hub_are_counted_by_outcome(own: FlaskClient, grown: Growth) -> None:
    reply = own.post("/api/models", json={"repo_id": "a/b"})  # these tests are offline
    assert reply.status_code == 503
    assert grown("hub_calls_total", outcome=reply.get_json()["code"]) == 1


def test_times_fall_into_buckets_that_heap_up() -> None:
    metrics = Metrics(SharedCounts(1))
    for seconds in (0.0001, 0.0005, 0.003, 7.0, 99.0):
        metrics.request("/x", "GET", "200", seconds, None)
    found = samples_of(metrics.text())
    bounds = ("0.0005", "0.005", "10")
    heaps = [value(found, "request_seconds_bucket", endpoint="/x", le=bound) for bound in bounds]
    assert heaps == [2, 3, 4]
    assert value(found, "request_seconds_bucket", endpoint="/x", le="+Inf") == 5
    assert value(found, "request_seconds_count", endpoint="/x") == 5
    assert value(found, "request_seconds_sum", endpoint="/x") == pytest.approx(106.0036)
    assert list(BUCKETS) == sorted(BUCKETS)


def test_refusals_for_too_many_requests_have_a_count_of_their_own() -> None:
    metrics = Metrics(SharedCounts(1))
    metrics.request("/api/recommend", "POST", "429", 0.001, "too_many_requests")
    assert value(samples_of(metrics.text()), "rate_limited_total", endpoint="/api/recommend") == 1


def test_workers_and_the_build(own: FlaskClient) -> None:
    own.get("/health")
    found = read(own)
    assert value(found, "workers") == 1
    assert value(found, "worker_resident_bytes", worker="0") > 10_000_000
    assert sum(name == "llm_estimate_build_info" for name, _ in found) == 1


def test_the_number_of_series_is_bounded(own: FlaskClient) -> None:
    def ask(numbers: range) -> int:
        for number in numbers:
            own.get(f"/api/models/x{number}")
            own.get(f"/x{number}")
            own.post("/api/memory/inference", json={"config": {**LLAMA, "_name_or_path": f"x{number}"}})
        return len(read(own))

    read(own)
    assert ask(range(3)) == ask(range(3, 9))


PUBLIC = {"host": "0.0.0.0"}


def test_off_loopback_a_token_opens_it(make_app: AppMaker) -> None:
    client = make_app(**PUBLIC, token="hush").test_client()
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer other"}).status_code == 403
    assert client.get("/metrics", headers={"Authorization": "Bearer hush"}).status_code == 200


def test_off_loopback_without_any_token_it_is_closed(make_app: AppMaker) -> None:
    reply = make_app(**PUBLIC).test_client().get("/metrics")
    assert reply.status_code == 403
    assert "LLM_ESTIMATE_METRICS_OPEN" in reply.get_json()["error"]


def test_a_setting_opens_it_to_all(make_app: AppMaker) -> None:
    assert make_app(**PUBLIC, metrics_open=True).test_client().get("/metrics").status_code == 200
    strict = make_app(**PUBLIC, metrics_open=True, require_token=True, token="hush").test_client()
    assert strict.get("/metrics").status_code == 200
    assert strict.get("/api/gpus").status_code == 401


def test_addressed_by_another_name_it_is_closed(client: FlaskClient) -> None:
    assert client.get("/metrics", headers={"Host": "llm.example.org"}).status_code in (401, 403)
