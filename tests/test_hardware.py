"""Accelerators: memory that software sees, overrides of a request, warnings."""

import pytest

from app.errors import InvalidRequest
from app.hardware import GIB, MIB, Accelerator, CloudPrice, custom

H100 = Accelerator(
    "h100-sxm-80gb",
    "H100 SXM5 80GB",
    "NVIDIA",
    "gpu",
    memory_gb=80,
    memory_mib_usable=81559,
    tflops={"bf16": 989.5, "fp8": 1979},
    cloud_price=CloudPrice(low=1.99, typical=2.95, date="2026-05"),
    verification="two_sources",
)


def test_memory_is_what_the_driver_reports() -> None:
    assert H100.memory_bytes_usable == 81559 * MIB
    assert H100.memory_is_reported
    assert H100.warnings() == ()


def test_memory_of_the_label_counts_in_gib_and_warns() -> None:
    gpu = custom({"memory_gb": 40})
    assert gpu.memory_bytes_usable == 40 * GIB
    assert [w.code for w in gpu.warnings()] == ["gpu_memory_from_label"]


def test_unknown_memory_is_an_error_not_zero() -> None:
    nameless = Accelerator("mlu590", "MLU590", "Cambricon", "npu")
    with pytest.raises(InvalidRequest) as error:
        _ = nameless.memory_bytes_usable
    assert error.value.problems[0].field == "gpu.memory_gb"


def test_overrides_replace_and_merge() -> None:
    gpu = H100.with_overrides(
        {"name": "h100", "memory_gb": 96, "tflops": {"bfloat16": 800}, "price_per_hour": 3}
    )
    assert gpu.memory_bytes_usable == 96 * GIB
    assert gpu.tflops == {"bf16": 800, "fp8": 1979}
    assert gpu.price_per_hour == 3
    assert H100.tflops["bf16"] == 989.5


def test_the_same_size_keeps_the_drivers_figure() -> None:
    assert H100.with_overrides({"memory_gb": 80}).memory_bytes_usable == 81559 * MIB


def test_every_wrong_field_is_named() -> None:
    with pytest.raises(InvalidRequest) as error:
        H100.with_overrides(
            {
                "memory_gb": -1,
                "memory_bandwith_gb_s": 1,
                "tflops": {"bf17": 1, "fp8": "x"},
                "scale_up_domain": 2.5,
                "price_per_hour": True,
                "vendor": "",
            }
        )
    fields = [problem.field for problem in error.value.problems]
    assert fields == [
        "gpu.memory_gb",
        "gpu.memory_bandwith_gb_s",
        "gpu.tflops.bf17",
        "gpu.tflops.fp8",
        "gpu.scale_up_domain",
        "gpu.price_per_hour",
        "gpu.vendor",
    ]
    assert "memory_bandwidth_gb_s" in error.value.problems[1].message.text()
    for problem in error.value.problems:
        assert problem.message.text("zh")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0, True, "80", [80]])
def test_memory_must_be_a_positive_finite_number(value: object) -> None:
    with pytest.raises(InvalidRequest):
        H100.with_overrides({"memory_gb": value})


def test_a_device_without_a_name_needs_memory() -> None:
    with pytest.raises(InvalidRequest) as error:
        custom({"memory_bandwidth_gb_s": -5})
    assert [p.field for p in error.value.problems] == ["gpu.memory_gb", "gpu.memory_bandwidth_gb_s"]


def test_price_falls_back_to_the_lowest_and_then_to_none() -> None:
    assert H100.price_per_hour == 2.95
    assert Accelerator("a", "a", "v", "gpu", cloud_price=CloudPrice(low=0.34)).price_per_hour == 0.34
    assert custom({"memory_gb": 1}).price_per_hour is None


def test_free_devices_cost_nothing() -> None:
    assert custom({"memory_gb": 1, "price_per_hour": 0}).price_per_hour == 0


def test_peak_by_any_spelling() -> None:
    assert H100.peak_tflops("bfloat16") == H100.peak_tflops("BF16") == 989.5
    assert H100.peak_tflops("fp4") is None


@pytest.mark.parametrize(
    ("device", "code"),
    [
        (Accelerator("m2", "M2", "Apple", "soc", memory_gb=8, verification="partial"), "gpu_memory_shared"),
        (Accelerator("mi250x", "M", "AMD", "gpu", memory_gb=128, devices_seen=2), "gpu_seen_as_several"),
        (
            Accelerator("epyc", "E", "AMD", "cpu", memory_gb=6144, verification="partial"),
            "gpu_memory_is_maximum",
        ),
        (
            Accelerator("h20", "H20", "NVIDIA", "gpu", memory_gb=141, verification="unverified"),
            "gpu_unverified",
        ),
    ],
)
def test_warnings_say_what_to_know(device: Accelerator, code: str) -> None:
    texts = {w.code: (w.text(), w.text("zh")) for w in device.warnings()}
    assert code in texts
    assert device.name in texts[code][0]
