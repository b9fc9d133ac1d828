"""Calibration over HTTP: shape, owners, writes, uses by name in every request that takes one."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.api.application import create_app
from app.api.owners import HEADER
from app.settings import read_settings

SERVED = {"model_name": "Qwen3-0.6B", "gpu": "h100-sxm-80gb", "input_length": 512, "output_length": 64}
BODY = {
    "request": SERVED,
    "measurements": [
        {"request": {"batch_size": 1}, "measured": {"ttft_ms": 19, "tpot_ms": 2.6}},
        {"request": {"batch_size": 64}, "measured": {"tpot_ms": 6.4}},
        {"request": {"batch_size": 8, "input_length": 4096}, "measured": {"ttft_ms": 120}},
    ],
}
MINE, OTHER = {HEADER: "Qm9ySm5pdkJyb3dzZXIwMQ"}, {HEADER: "T3RoZXJCcm93c2VySWROdW1iZXIwMg"}


def post(client: FlaskClient, path: str, body: Any, status: int = 200, **headers: str) -> Any:
    reply = client.post(path, json=body, headers=headers)
    assert reply.status_code == status, reply.get_data(as_text=True)[:500]
    return reply.get_json()


def test_nothing_is_kept_without_a_name(client: FlaskClient) -> None:
    found = post(client, "/api/calibrate", BODY)
    assert found["kept"] is False and found["name"] is None
    assert client.get("/api/calibrations").get_json() == {"calibrations": [], "total": 0}
    assert found["summary"]["median_error_after"] < found["summary"]["median_error_before"]
    inline = post(client, "/api/performance/inference", {**SERVED, "calibration": found["coefficients"]})
    assert inline["tpot_ms"] != post(client, "/api/performance/inference", SERVED)["tpot_ms"]
    assert inline["tpot_ms"] == pytest.approx(found["residuals"][1]["after"], rel=1e-4)


def test_by_name_everywhere(client: FlaskClient) -> None:
    post(client, "/api/calibrate", {**BODY, "name": "ours"})
    try:
        line = client.get("/api/calibrations/ours").get_json()
        assert line["name"] == "ours" and line["created"] > 0
        named = {**SERVED, "calibration": "ours"}
        speed = post(client, "/api/performance/inference", named)
        assert speed["parameters"]["coefficients"]["calibration"]["name"] == "ours"
        assert "calibration_used" in {each["code"] for each in speed["warnings"]}
        both = post(
            client, "/api/performance/compare",
            {"calculation_type": "inference", "configurations": [named, {**SERVED, "calibration": "none"}]},
        )["results"]  # fmt: skip
        assert both[0]["tpot_ms"] == speed["tpot_ms"] and both[1]["status"] == 404
        plan = {
            "task": "inference",
            "model_name": "Qwen3-0.6B",
            "gpus": ["h100-sxm-80gb"],
            "calibration": "ours",
        }
        said = post(client, "/api/recommend", plan)["warnings"]
        assert "calibration_in_plan" in {each["code"] for each in said}
        whole = post(client, "/api/v1/inference/estimate", {**named, "gpus": ["h100-sxm-80gb"]})
        assert whole["performance"]["tpot_ms"] == speed["tpot_ms"]
        wrong = post(client, "/api/performance/training", {**TRAINED, "calibration": "ours"}, 400)
        assert wrong["details"][0]["code"] == "calibration_of_other_task"
    finally:
        assert client.delete("/api/calibrations/ours").status_code == 204
    gone = post(client, "/api/performance/inference", {**SERVED, "calibration": "ours"}, 404)
    assert gone["details"][0]["field"] == "calibration"
    assert client.delete("/api/calibrations/ours").status_code == 404


TRAINED = {"model_name": "Qwen3-0.6B", "gpu": "h100-sxm-80gb", "sequence_length": 1024}


def test_training(client: FlaskClient) -> None:
    runs = [{"request": {"batch_size": 4}, "measured": {"tokens_per_sec": 15000}}]
    body = {"calculation_type": "training", "request": TRAINED, "measurements": runs}
    found = post(client, "/api/calibrate", body)
    asked = {**TRAINED, "batch_size": 4}
    plain = post(client, "/api/performance/training", asked)
    corrected = post(client, "/api/performance/training", {**asked, "calibration": found["coefficients"]})
    assert abs(corrected["tokens_per_sec"] - 15000) < abs(plain["tokens_per_sec"] - 15000)
    assert corrected["parameters"]["calibration"]["calculation_type"] == "training"


def test_owners_do_not_see_each_other(client: FlaskClient) -> None:
    for headers, shown in ((MINE, 1), (OTHER, 0), ({}, 0)):
        if shown:
            post(client, "/api/calibrate", {**BODY, "name": "mine"}, **headers)
        assert client.get("/api/calibrations", headers=headers).get_json()["total"] == shown
    assert client.get("/api/calibrations/mine", headers=OTHER).status_code == 404
    assert client.delete("/api/calibrations/mine", headers=OTHER).status_code == 404
    assert client.delete("/api/calibrations/mine", headers=MINE).status_code == 204


def test_keeping_is_a_write(tmp_path: Any) -> None:
    app = create_app(
        read_settings(
            {"LLM_ESTIMATE_TOKEN": "t" * 32}, data_folder=tmp_path, host="0.0.0.0", access_log=False
        )
    )
    client = app.test_client()
    post(client, "/api/calibrate", BODY, **MINE)
    post(client, "/api/calibrate", {**BODY, "name": "mine"}, 401, **MINE)
    assert client.delete("/api/calibrations/mine", headers=MINE).status_code == 401
    assert client.get("/api/calibrations").get_json()["total"] == 0
    token = {"Authorization": "Bearer " + "t" * 32}
    post(client, "/api/calibrate", {**BODY, "name": "mine"}, **token)
    assert client.get("/api/calibrations", headers=token).get_json()["total"] == 1
    assert client.get("/api/calibrations", headers=MINE).get_json()["total"] == 0


def test_sentences_in_chinese(client: FlaskClient) -> None:
    found = post(client, "/api/calibrate", BODY, **{"Accept-Language": "zh"})
    missing = [each["missing"] for each in found["mechanisms"] if each["missing"]]
    assert missing and all(not text.isascii() for text in missing)
