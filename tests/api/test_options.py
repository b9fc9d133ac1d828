"""Options: every enumerated field, described in both languages, and only what is computed."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.api.options import _choices, describe
from app.api.schemas.inference import InferenceSchema
from app.api.schemas.training import TrainingSchema
from app.memory.runtimes.choices import BACKENDS

SCHEMAS = {"inference": InferenceSchema(), "training": TrainingSchema()}
EVERY_VALUE = [
    (calculation, path, name)
    for calculation, schema in SCHEMAS.items()
    for path, field in _choices(schema)
    for name in field.of.names
]


@pytest.fixture(scope="module")
def options(client: FlaskClient) -> Any:
    return client.get("/api/config/options").get_json()


def test_every_enumerated_field_is_listed_with_its_default(options: Any) -> None:
    for calculation, schema in SCHEMAS.items():
        fields = dict(_choices(schema))
        assert set(options[calculation]) - {"backend_version"} <= set(fields)
        for path, listed in options[calculation].items():
            names = [value["value"] for value in listed["values"]]
            assert names, path
            assert listed["default"] is None or listed["default"] in names, path


@pytest.mark.parametrize(("calculation", "path", "name"), EVERY_VALUE, ids=lambda each: each)
def test_every_value_has_a_line_in_both_languages(calculation: str, path: str, name: str) -> None:
    english, chinese = describe(path, name, "en"), describe(path, name, "zh")
    assert english != name, "no sentence"
    assert len(english) > 4 and chinese


def test_data_types_have_their_bytes(options: Any) -> None:
    sizes = {value["value"]: value["bytes"] for value in options["inference"]["precision"]["values"]}
    assert sizes == {
        "float32": 4, "tf32": 4, "float16": 2, "bfloat16": 2, "fp8": 1, "int8": 1, "int4": 0.5,
    }  # fmt: skip


def test_what_is_not_computed_yet_is_refused_and_not_listed(client: FlaskClient, options: Any) -> None:
    """Every value of every enumerated field: listed, or answered with not_supported_yet; never both."""
    for calculation, path, name in EVERY_VALUE:
        values = options[calculation].get(path, {"values": []})["values"]
        listed = name in [value["value"] for value in values]
        outer, _, inner = path.rpartition(".")
        field = {outer: {inner: name}} if outer else {inner: name}
        method = {"method": "lora"} if outer == "lora" else {}
        reply = client.post(
            f"/api/memory/{calculation}", json={"model_name": "Qwen3-0.6B", **method, **field}
        )
        assert reply.status_code in (200, 400)
        refused = reply.status_code == 400 and reply.get_json()["code"] == "not_supported_yet"
        assert listed != refused, (calculation, path, name, reply.get_json().get("error"))


def test_every_covered_version_is_listed_and_answered(client: FlaskClient, options: Any) -> None:
    listed = options["inference"]["backend_version"]["values"]
    assert {each["backend"] for each in listed} == set(BACKENDS)
    for each in listed:
        body = {"model_name": "Qwen3-0.6B", "backend": each["backend"], "backend_version": each["value"]}
        answer = client.post("/api/memory/inference", json=body).get_json()
        assert answer["parameters"]["backend_version"] == each["value"]


def test_chinese(client: FlaskClient) -> None:
    found = client.get("/api/config/options", headers={"Accept-Language": "zh"}).get_json()
    assert "字节" in found["inference"]["unit"]["values"][0]["description"]
