"""Calibration as a service: checked measurements in, names that belong to somebody, uses that say so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.api.schemas.calibration import CalibrateSchema
from app.api.schemas.coefficients import CoefficientsSchema
from app.errors import InvalidRequest, UnknownName
from app.performance.calibration import LEAST, MECHANISMS, MOST, Calibration, Factors
from app.service.calibration_shelf import Calibrations, Kept
from app.service.calibration_use import calibration_of, plain, said_in_plan, said_of
from app.service.plan_questions import plan_question
from app.service.recommendation import recommend
from app.service.speed_questions import speed_question
from tests.performance.questions import lookup

SHARED = {"model_name": "Llama-3.1-8B", "gpu": "h100-sxm-80gb", "input_length": 512, "output_length": 64}
RUNS = [
    {"request": {"batch_size": 1}, "measured": {"ttft_ms": 30, "tpot_ms": 8.0}},
    {"request": {"batch_size": 8}, "measured": {"tpot_ms": 8.3, "memory_bytes": 70e9}},
    {"request": {"batch_size": 32}, "measured": {"tpot_ms": 9.6, "ttft_ms": 430}},
]
BODY = {"request": SHARED, "measurements": RUNS}


@dataclass
class InMemory:
    """A store for the length of a test."""

    kept: dict[tuple[str, str], Kept] = field(default_factory=dict)

    @dataclass(frozen=True)
    class Row:
        name: str
        kind: str
        coefficients: Mapping[str, Any]
        created: float = 0.0

    def put(self, owner: str, name: str, kind: str, coefficients: Mapping[str, Any]) -> Kept:
        self.kept[owner, name] = self.Row(name, kind, coefficients)
        return self.kept[owner, name]

    def get(self, owner: str, name: str) -> Kept | None:
        return self.kept.get((owner, name))

    def list(self, owner: str) -> Sequence[Kept]:
        return [row for (whose, _), row in sorted(self.kept.items()) if whose == owner]

    def delete(self, owner: str, name: str) -> bool:
        return self.kept.pop((owner, name), None) is not None


@pytest.fixture
def shelf() -> Calibrations:
    store = InMemory()
    return Calibrations(lookup(), lambda: store)


def ask(
    shelf: Calibrations, body: Mapping[str, Any] = BODY, owner: str = "me", **more: Any
) -> dict[str, Any]:
    return shelf.calibrate(CalibrateSchema().load({**body, **more}), owner=owner)


def test_errors_fall_and_everything_is_told(shelf: Calibrations) -> None:
    found = ask(shelf)
    summary = found["summary"]
    assert summary["figures"] == 5
    assert summary["median_error_after"] < summary["median_error_left_out"] < summary["median_error_before"]
    assert [each["name"] for each in found["mechanisms"]] == list(MECHANISMS)
    unknown = [each for each in found["mechanisms"] if not each["identified"]]
    assert all(each["missing"] and each["figures_needed"] for each in unknown)
    assert "network" in {each["name"] for each in unknown}
    memory = found["residuals"][-1]
    assert memory["figure"] == "memory_bytes" and not memory["corrected"]
    assert memory["before"] == memory["after"] > 0
    assert found["kept"] is False and shelf.every("me")["total"] == 0


def test_two_measurements_leave_none_out(shelf: Calibrations) -> None:
    found = ask(shelf, {**BODY, "measurements": RUNS[:2]})
    assert found["summary"]["median_error_left_out"] is None
    assert "calibration_few" in {each["code"] for each in found["warnings"]}


def test_names_belong_to_their_owner(shelf: Calibrations) -> None:
    kept = ask(shelf, name="ours")
    assert kept["kept"] and kept["name"] == "ours"
    assert shelf.find("ours", "me")["coefficients"] == kept["coefficients"]
    assert [each["name"] for each in shelf.every("me")["calibrations"]] == ["ours"]
    with pytest.raises(UnknownName):
        shelf.find("ours", "somebody else")
    with pytest.raises(UnknownName) as caught:
        shelf.put_in({**SHARED, "calibration": "our"}, "me")
    assert caught.value.closest == ("ours",)
    shelf.delete("ours", "me")
    with pytest.raises(UnknownName):
        shelf.delete("ours", "me")


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", "x" * 101])
def test_wrong_names(shelf: Calibrations, name: str) -> None:
    with pytest.raises(InvalidRequest):
        ask(shelf, name=name)
    with pytest.raises(UnknownName):
        shelf.find(name, "me")


def test_a_name_goes_into_later_requests(shelf: Calibrations) -> None:
    made = ask(shelf, name="ours")
    values = shelf.put_in({**SHARED, "calibration": "ours"}, "me")
    assert values["calibration"] == {"name": "ours", **made["coefficients"]}
    question = speed_question(values, lookup())
    assert question.request.calibration == calibration_of(values["calibration"], "inference")
    assert "calibration_used" in {message.code for message in question.warnings}
    assert shelf.put_in(SHARED, "me") is SHARED
    with pytest.raises(UnknownName):  # a name that nobody looked up is not passed over
        speed_question({**SHARED, "calibration": "ours"}, lookup())


def test_what_does_not_count_is_said(shelf: Calibrations) -> None:
    made = ask(shelf)["coefficients"]
    elsewhere = speed_question({**SHARED, "gpu": "l40s", "backend": "sglang", "calibration": made}, lookup())
    assert [m.code for m in elsewhere.warnings if m.code.startswith("calibration")] == ["calibration_idle"]
    with pytest.raises(InvalidRequest):
        calibration_of(made, "training")
    assert said_of(None, "l40s", "vllm") == said_in_plan(None) == ()


def test_plain_and_back() -> None:
    factors = Factors(memory_bandwidth=0.9, step_overhead=1.25)
    made = Calibration(factors, ("l4",), ("vllm",), "inference", None, 4)
    data = plain(made)
    assert CoefficientsSchema().load(data) == {**data, "gpus": ("l4",), "backends": ("vllm",)}
    assert calibration_of(data, "inference") == made


@pytest.mark.parametrize(
    ("measured", "code"),
    [
        ({"tpot_ms": 1.0}, "measured_beats_physics"),
        ({"output_tokens_per_sec": 1e6}, "measured_beats_physics"),
        ({"tpot_ms": 8000}, "measured_far_off"),
        ({"ttft_ms": 30, "e2e_latency_ms": 20}, "measured_contradiction"),
        ({}, "measured_nothing"),
        ({"memory_bytes": 7e10}, "measured_only_memory"),
        ({"tpot_ms": -1}, "out_of_open_range"),
        ({"step_ms": 1}, "unknown_field"),
    ],
)
def test_nonsense_is_refused_by_field(shelf: Calibrations, measured: dict[str, float], code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ask(shelf, {**BODY, "measurements": [{"measured": measured}]})
    problem = caught.value.problems[0]
    assert problem.message.code.startswith(code)
    assert problem.field.startswith("measurements")
    assert problem.message.text() and problem.message.text("zh")


def test_every_problem_is_named_at_its_place(shelf: Calibrations) -> None:
    runs = [{"request": {"batch_size": 0}, "measured": {"tpot_ms": 9}}, {"measured": {"ttft": 3}}, {}]
    with pytest.raises(InvalidRequest) as caught:
        ask(shelf, {**BODY, "measurements": runs})
    assert {problem.field for problem in caught.value.problems} == {
        "measurements[0].request.batch_size",
        "measurements[1].measured.ttft",
        "measurements[2].measured",
    }


@pytest.mark.parametrize("wrong", [[], {}, "x", [1], [RUNS[0]] * 33])
def test_wrong_lists(shelf: Calibrations, wrong: Any) -> None:
    with pytest.raises(InvalidRequest):
        ask(shelf, {**BODY, "measurements": wrong})


def test_measurements_that_do_not_go_together(shelf: Calibrations) -> None:
    runs = [
        {"request": {"batch_size": 1}, "measured": {"tpot_ms": 6.5}},
        {"request": {"batch_size": 2}, "measured": {"tpot_ms": 26}},
        {"request": {"batch_size": 4, "gpu": "l40s"}, "measured": {"tpot_ms": 24}},
    ]
    found = ask(shelf, {**BODY, "measurements": runs})
    assert {"calibration_poor", "calibration_mixed"} <= {each["code"] for each in found["warnings"]}


def test_training(shelf: Calibrations) -> None:
    shared = {
        "model_name": "Qwen3-8B",
        "gpu": "h100-sxm-80gb",
        "mixed_precision": "bf16",
        "sequence_length": 2048,
    }
    runs = [
        {"request": {"batch_size": 2}, "measured": {"step_ms": 900}},
        {"request": {"batch_size": 8}, "measured": {"tokens_per_sec_per_gpu": 6000, "memory_bytes": 2e11}},
    ]
    body = {"calculation_type": "training", "request": shared, "measurements": runs}
    found = ask(shelf, body, name="run")
    assert found["calculation_type"] == "training"
    assert [each["name"] for each in found["mechanisms"]] == [
        "memory_bandwidth", "compute", "network", "step_overhead",
    ]  # fmt: skip
    assert found["coefficients"]["backends"] == ["transformers"]
    assert shelf.find("run", "me")["calculation_type"] == "training"


def test_a_plan_rests_on_it() -> None:
    """A device measured slower is planned slower and one not measured as before; bounds follow."""
    asked = {
        "task": "inference",
        "gpus": ["h100-sxm-80gb", "l40s"],
        "max_gpus": 1,
        "quantizations": ["none"],
        "concurrency": 8,
        **{name: value for name, value in SHARED.items() if name != "gpu"},
    }

    def gaps(factor: float) -> dict[str, float]:
        given = {"memory_bandwidth": factor, "gpus": ["h100-sxm-80gb"], "backends": ["vllm"]}
        question = plan_question({**asked, "calibration": given}, lookup())
        assert "calibration_in_plan" in {message.code for message in question.warnings}
        return {each.gpu.name: each.figures["tpot_ms"] or 0 for each in recommend(question).options}

    slow, same, quick = gaps(0.3), gaps(1.0), gaps(1.05)
    assert slow["h100-sxm-80gb"] > 1.5 * same["h100-sxm-80gb"]
    assert same["h100-sxm-80gb"] > quick["h100-sxm-80gb"]
    assert slow["l40s"] == same["l40s"] == quick["l40s"]


def test_factors_are_bounded() -> None:
    for factor in (LEAST / 2, MOST * 2):
        with pytest.raises(InvalidRequest):
            CoefficientsSchema().load({"gpus": [], "backends": [], "compute": factor})
