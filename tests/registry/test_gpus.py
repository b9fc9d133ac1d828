"""Accelerators by name: all files, the names people type, broken files."""

import json
from pathlib import Path

import pytest
from msgspec import to_builtins

from app.errors import InvalidRequest, UnknownName
from app.hardware import GIB, MIB, Accelerator
from app.registry.gpus import ALIASES, GpuRegistry, gpus

REGISTRY = gpus()
CHECKED = {"memory_gb", "memory_bandwidth_gb_s", "tdp_w", "interconnect"} | {
    f"tflops_{kind}" for kind in ("16bit", "fp32", "int8")
}


def test_all_files_load() -> None:
    assert REGISTRY.problems == []
    files = {path.stem for path in REGISTRY.folder.glob("*.json") if path.name != ALIASES}
    assert {gpu.name for gpu in REGISTRY} == files
    assert len(REGISTRY) == 161


@pytest.mark.parametrize("gpu", list(REGISTRY), ids=lambda gpu: gpu.name)
def test_every_device_is_found_and_speaks(gpu: Accelerator) -> None:
    for spelling in (
        gpu.name,
        gpu.name.upper(),
        gpu.name.replace("-", "_"),
        gpu.name.replace("-", ""),
        gpu.label,
    ):
        assert REGISTRY.find(spelling).accelerator is gpu
        assert REGISTRY.find(spelling).warnings == ()
    json.dumps(to_builtins(gpu))
    for warning in gpu.warnings():
        assert gpu.name in warning.text()
        assert gpu.name in warning.text("zh")
    assert set(gpu.checked_by) <= CHECKED
    for tags in gpu.checked_by.values():
        assert set(tags) <= set(gpu.sources)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("RTX-4090", "rtx-4090"),
        ("RTX4090", "rtx-4090"),
        ("4090", "rtx-4090"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("L40S", "l40s"),
        ("MI300X", "mi300x-192gb"),
        ("AMD Instinct MI300X", "mi300x-192gb"),
        ("TPU-v4", "tpu-v4"),
        ("NVIDIA H100 80GB HBM3", "h100-sxm-80gb"),
        ("NVIDIA A100-SXM4-80GB", "a100-sxm-80gb"),
        ("B200", "b200-sxm-180gb"),
    ],
)
def test_names_that_mean_one_device(asked: str, name: str) -> None:
    found = REGISTRY.find(asked)
    assert found.accelerator.name == name
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("H100", "h100-sxm-80gb"),
        ("H100-80GB", "h100-sxm-80gb"),
        ("A100", "a100-sxm-80gb"),
        ("V100", "v100-sxm2-16gb"),
        ("M2-Ultra", "m2-ultra-192gb"),
    ],
)
def test_names_of_several_variants_take_the_usual_one_and_say_so(asked: str, name: str) -> None:
    found = REGISTRY.find(asked)
    assert found.accelerator.name == name
    (warning,) = found.warnings
    assert warning.code == "gpu_alias_usual"
    assert name in warning.text() and asked in warning.text("zh")


def test_an_unknown_name_offers_the_closest() -> None:
    with pytest.raises(UnknownName) as error:
        REGISTRY.get("rtx4091")
    assert error.value.closest[0] == "rtx-4090"


def test_figures_of_known_traps() -> None:
    h100 = REGISTRY.get("h100-sxm-80gb")
    assert h100.memory_bytes_usable == 81559 * MIB
    assert h100.tflops["bf16"] == 989.5  # dense; 1979 is the sparse figure
    assert h100.interconnect_gb_s == 450  # one direction of 900
    assert REGISTRY.get("rtx-4090").tflops["bf16"] == 165.2  # accumulating in float32
    assert REGISTRY.get("rtx-4090").tflops_fp16_accumulate["fp16"] == 330.4
    assert REGISTRY.get("mi250x-128gb").devices_seen == 2
    assert REGISTRY.get("mi300x-192gb").memory_bytes_usable == 192 * GIB


def test_listing() -> None:
    assert all(gpu.device_type == "tpu" for gpu in REGISTRY.list("TPU"))
    assert {gpu.vendor for gpu in REGISTRY.list(vendor="nvidia")} == {"NVIDIA"}
    big = REGISTRY.list("gpu", min_memory_gb=141)
    assert big and all((gpu.memory_gb or 0) >= 141 for gpu in big)
    assert "Moore Threads" in REGISTRY.vendors()
    assert "rtx4090" not in REGISTRY.aliases("rtx-4090") and "4090" in REGISTRY.aliases("rtx-4090")


def test_the_request_object() -> None:
    plain = REGISTRY.resolve({"name": "RTX 4090", "memory_gb": 48})
    assert plain.accelerator.memory_bytes_usable == 48 * GIB
    assert plain.accelerator.memory_bandwidth_gb_s == REGISTRY.get("rtx-4090").memory_bandwidth_gb_s
    assert REGISTRY.resolve("H100").warnings
    assert REGISTRY.resolve({"memory_gb": 10}).accelerator.name == "custom"
    for wrong in ({"name": 4090}, {"name": "4090", "memory": 1}, {}):
        with pytest.raises(InvalidRequest):
            REGISTRY.resolve(wrong)


GOOD = {
    "name": "x",
    "label": "X",
    "vendor": "V",
    "device_type": "gpu",
    "verification": "none",
    "memory_gb": 8,
}


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ('{\n "name": "x",\n}', 3, "double quotes"),
        ("[]", 1, "object"),
        (json.dumps({**GOOD, "memory_gb": "8"}, indent=1), 7, "memory_gb"),
        (json.dumps({**GOOD, "memory_gb": True}, indent=1), 7, "memory_gb"),
        (json.dumps({**GOOD, "memory_gb": -8}, indent=1), 7, "memory_gb"),
        (json.dumps({**GOOD, "device_type": "toaster"}, indent=1), 5, "device_type"),
        (json.dumps({**GOOD, "name": "y"}, indent=1), 2, "name"),
        (json.dumps({**GOOD, "tflops": {"bf16": 0}}, indent=1), 9, "bf16"),
        (json.dumps({**GOOD, "colour": "red"}, indent=1), 8, "colour"),
        (json.dumps({**GOOD, "label": ""}), None, "label"),
        ('{"memory_gb": NaN}', None, "NaN"),
    ],
)
def test_a_broken_file_is_named_and_the_rest_is_served(
    tmp_path: Path, text: str, line: int | None, what: str
) -> None:
    (tmp_path / "x.json").write_text(text)
    (tmp_path / "good.json").write_text(json.dumps({**GOOD, "name": "good", "label": "Good"}))
    registry = GpuRegistry(tmp_path)
    assert [gpu.name for gpu in registry] == ["good"]
    (problem,) = registry.problems
    assert (problem.path.name, problem.line) == ("x.json", line)
    assert what in str(problem)


def test_broken_aliases_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps(GOOD))
    (tmp_path / ALIASES).write_text('{\n"a": "x",\n"b": "nothing",\n"c": []\n}')
    registry = GpuRegistry(tmp_path)
    assert registry.get("A").name == "x"
    assert [problem.line for problem in registry.problems] == [3, 4]
