"""Hold our reading of configs against dumps of the real models (no torch needed):

    python -m tests.oracles.compare [types...] [--dumps DIR] [--show N] [--live]

Without types, every dump in the folder. --live measures the real models now instead of reading dumps.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Case = dict[str, Any]
Reader = Callable[[dict[str, Any]], Any]
DEFAULT_DUMPS = Path("/tmp/oracle-dumps")


def our_config(case: Case) -> dict[str, Any]:
    """The config.json as published: with the class that the dump was taken from."""
    return case["config"] | {"architectures": [case["class"]]}


def expected_tensors(case: Case) -> dict[str, tuple[tuple[int, ...], bool]]:
    """Name → (shape, is a parameter) of everything a checkpoint holds once."""
    found = {name: (tuple(shape), True) for name, shape in case["parameters"].items()}
    return found | {name: (tuple(shape), False) for name, (shape, _) in case["buffers"].items()}


Tensors = dict[str, tuple[tuple[int, ...], bool]]


def with_owner_names(ours: Tensors, expected: Tensors, tied: set[str]) -> Tensors:
    """Ours with a tied tensor under the name that the library lists it by: either name of a pair is right."""
    missing = [name for name in expected if name not in ours]
    renamed = dict(ours)
    for name in [name for name in ours if name in tied and name not in expected]:
        other = next((owner for owner in missing if expected[owner] == ours[name]), None)
        if other:
            missing.remove(other)
            renamed[other] = renamed.pop(name)
    return renamed


def tensor_differences(architecture: Any, case: Case) -> Iterator[str]:
    ours = [(tensor.name, (tuple(tensor.shape), tensor.is_parameter)) for tensor in architecture.tensors()]
    expected = expected_tensors(case)
    for name, count in Counter(name for name, _ in ours).items():
        if count > 1:
            yield f"{name} is there {count} times"
    found = with_owner_names(dict(ours), expected, set(case.get("tied", ())))
    for name in expected.keys() - found.keys():
        yield f"missing {name} {list(expected[name][0])}{'' if expected[name][1] else ' (buffer)'}"
    for name in found.keys() - expected.keys():
        yield f"too much: {name} {list(found[name][0])}"
    for name in found.keys() & expected.keys():
        if found[name] != expected[name]:
            yield f"{name}: ours {found[name]}, real {expected[name]}"


def source_length(architecture: Any, length: int) -> int:
    """Tokens the encoder made in the dumps: as many as the decoder's, or as many as it always makes."""
    return int(architecture.notes.get("source", length if architecture.kind == "encoder_decoder" else 0))


def cache_differences(architecture: Any, case: Case) -> Iterator[str]:
    if isinstance(case["cache"], dict):  # the forward pass failed on the meta device
        return
    for point in case["cache"] or []:
        if point is None or "failed" in point:
            continue
        batch, length, real = point["batch"], point["length"], point["bytes"]
        source = source_length(architecture, length)
        ours = architecture.cache_bytes(batch, length, source=source)
        if ours != real:
            yield f"cache at {batch} x {length}: ours {ours}, real {real} (layer 0: {point['layers'][:1]})"


def flops_differences(architecture: Any, case: Case) -> Iterator[str]:
    real = case["flops"]
    if "failed" in real:
        return
    source = source_length(architecture, real["length"])
    ours = architecture.forward_flops(real["batch"], real["length"], source=source)
    if ours != real["total"]:
        at = f"{real['batch']} x {real['length']}"
        off = f"{ours / real['total'] - 1:+.4%}"
        yield f"flops at {at}: ours {ours}, real {real['total']} ({off}) {real['by_op']}"


def lora_differences(architecture: Any, case: Case) -> Iterator[str]:
    for rank, targets, real in case.get("lora", []):
        if isinstance(real, int):
            ours = architecture.lora_parameters(rank, targets)
            if ours != real:
                yield f"lora rank {rank} on {targets}: ours {ours}, real {real}"


CHECKS: dict[str, Callable[[Any, Case], Iterator[str]]] = {
    "tensors": tensor_differences,
    "cache": cache_differences,
    "flops": flops_differences,
    "lora": lora_differences,
}


def differences(case: Case, read_config: Reader) -> dict[str, list[str]]:
    """Check → what differs; a reader that fails is a difference of its own."""
    try:
        architecture = read_config(our_config(case))
    except Exception as error:
        return {"reading": [f"{type(error).__name__}: {error}"]}
    found: dict[str, list[str]] = {}
    for name, check in CHECKS.items():
        try:
            lines = sorted(check(architecture, case))
        except Exception as error:
            lines = [f"{type(error).__name__}: {error}"]
        if lines:
            found[name] = lines
    return found


def shown(config: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in config.items() if key != "model_type"})


def report(model_type: str, cases: list[Case], read_config: Reader, show: int) -> Counter[str]:
    """Print one line for a type that agrees, its first differences for one that does not."""
    results = [(case, differences(case, read_config)) for case in cases]
    if all(found.get("reading", [""])[0].startswith("UnknownArchitecture") for _, found in results):
        print(f"{model_type}: not described")
        return Counter({"not described": len(cases)})
    failing = Counter(name for _, found in results for name in found)
    if not failing:
        print(f"{model_type}: ok ({len(cases)} cases)")
        return failing
    counts = ", ".join(f"{name} differ in {count}/{len(cases)}" for name, count in failing.items())
    print(f"{model_type}: {counts}")
    case, found = min(((c, f) for c, f in results if f), key=lambda item: sum(map(len, item[1].values())))
    print(f"  {case['class']} {shown(case['config'])}")
    for name, lines in found.items():
        for line in lines[:show]:
            print(f"    {name}: {line}")
        if len(lines) > show:
            print(f"    {name}: ... {len(lines) - show} more")
    return failing


def dumped(folder: Path, model_type: str) -> list[Case]:
    cases: list[Case] = json.loads((folder / f"{model_type}.json").read_text())
    return cases


def measured(model_type: str) -> list[Case]:
    from .dump import cases_of

    return json.loads(json.dumps(cases_of(model_type, count=5)))  # type: ignore[no-any-return]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("types", nargs="*")
    parser.add_argument("--dumps", type=Path, default=DEFAULT_DUMPS)
    parser.add_argument("--show", type=int, default=8, help="differences shown of each kind")
    parser.add_argument("--live", action="store_true")
    options = parser.parse_args()
    from app.architecture import read_config

    start = time.perf_counter()
    types = options.types or sorted(path.stem for path in options.dumps.glob("*.json"))
    verdicts = Counter[str]()
    for model_type in types:
        cases = measured(model_type) if options.live else dumped(options.dumps, model_type)
        failing = report(model_type, cases, read_config, options.show)
        verdicts["ok" if not failing else "not described" if "not described" in failing else "differs"] += 1
    print(f"{dict(verdicts)} in {time.perf_counter() - start:.1f} s")
    return 0 if verdicts.keys() <= {"ok"} else 1


if __name__ == "__main__":
    sys.exit(main())
