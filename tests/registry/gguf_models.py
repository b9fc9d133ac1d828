"""What llama.cpp's converter makes of a `config.json`: metadata and tensors, for the lineages that we map."""

from typing import Any

from .gguf_writer import BLOCKS

ARCHITECTURES = {
    "llama": "llama", "mistral": "llama", "mixtral": "llama", "qwen2": "qwen2", "qwen3": "qwen3",
    "qwen3_moe": "qwen3moe", "phi3": "phi3", "gemma": "gemma", "gemma2": "gemma2", "gemma3_text": "gemma3",
}  # fmt: skip
Metadata = dict[str, Any]
Tensors = dict[str, tuple[str, list[int]]]


def converted(config: dict[str, Any], kinds: dict[str, str] | None = None) -> tuple[Metadata, Tensors]:
    """Metadata and tensors; `kinds` gives matrices (by part of the name) their types [Q8_0]."""
    shapes = _shapes(config)
    return _metadata(config), {
        name: (_kind(name, shape, kinds or {}), shape) for name, shape in shapes.items()
    }


def _metadata(c: dict[str, Any]) -> Metadata:
    a = ARCHITECTURES[c["model_type"]]
    found = {
        "general.architecture": a,
        "general.file_type": 7,
        f"{a}.block_count": c["num_hidden_layers"],
        f"{a}.context_length": c["max_position_embeddings"],
        f"{a}.embedding_length": c["hidden_size"],
        f"{a}.feed_forward_length": c["intermediate_size"],
        f"{a}.attention.head_count": c["num_attention_heads"],
        f"{a}.attention.head_count_kv": c.get("num_key_value_heads", c["num_attention_heads"]),
    }
    if c.get("head_dim") or a.startswith("gemma"):
        found |= {f"{a}.attention.key_length": _width(c), f"{a}.attention.value_length": _width(c)}
    if a == "phi3" or a in ("gemma2", "gemma3"):
        found[f"{a}.attention.sliding_window"] = c.get("sliding_window") or 0
    if experts := _experts(c):
        found |= {f"{a}.expert_count": experts, f"{a}.expert_used_count": c["num_experts_per_tok"]}
    if "moe_intermediate_size" in c:
        found[f"{a}.expert_feed_forward_length"] = c["moe_intermediate_size"]
    return found


def _width(c: dict[str, Any]) -> int:
    return int(c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"])


def _experts(c: dict[str, Any]) -> int:
    return int(c.get("num_local_experts") or c.get("num_experts") or 0)


def _shapes(c: dict[str, Any]) -> dict[str, list[int]]:
    hidden = c["hidden_size"]
    shapes = {"token_embd.weight": [c["vocab_size"], hidden], "output_norm.weight": [hidden]}
    if not c.get("tie_word_embeddings", c["model_type"].startswith("gemma")):
        shapes["output.weight"] = [c["vocab_size"], hidden]
    if c["model_type"] in ("llama", "phi3"):
        shapes["rope_freqs.weight"] = [_width(c) // 2]
    for index in range(c["num_hidden_layers"]):
        shapes |= {f"blk.{index}.{name}": shape for name, shape in _layer(c).items()}
    return shapes


def _layer(c: dict[str, Any]) -> dict[str, list[int]]:
    kind, hidden, width = c["model_type"], c["hidden_size"], _width(c)
    query = c["num_attention_heads"] * width
    key = c.get("num_key_value_heads", c["num_attention_heads"]) * width
    shapes = {
        "attn_norm.weight": [hidden],
        "ffn_norm.weight": [hidden],
        "attn_output.weight": [hidden, query],
    }
    if kind == "phi3":
        shapes["attn_qkv.weight"] = [query + 2 * key, hidden]
    else:
        rows = {"attn_q": query, "attn_k": key, "attn_v": key}
        shapes |= {f"{name}.weight": [size, hidden] for name, size in rows.items()}
        shapes |= {f"{name}.bias": [size] for name, size in rows.items() if kind == "qwen2"}
    if kind in ("qwen3", "qwen3_moe", "gemma3_text"):
        shapes |= {"attn_q_norm.weight": [width], "attn_k_norm.weight": [width]}
    if kind in ("gemma2", "gemma3_text"):
        shapes |= {"post_attention_norm.weight": [hidden], "post_ffw_norm.weight": [hidden]}
    return shapes | _feed_forward(c)


def _feed_forward(c: dict[str, Any]) -> dict[str, list[int]]:
    hidden, inner = c["hidden_size"], c["intermediate_size"]
    if experts := _experts(c):
        inner = c.get("moe_intermediate_size", inner)
        return {
            "ffn_gate_inp.weight": [experts, hidden],
            "ffn_gate_exps.weight": [experts, inner, hidden],
            "ffn_up_exps.weight": [experts, inner, hidden],
            "ffn_down_exps.weight": [experts, hidden, inner],
        }
    if c["model_type"] == "phi3":
        return {"ffn_up.weight": [2 * inner, hidden], "ffn_down.weight": [hidden, inner]}
    sizes = {"ffn_gate.weight": [inner, hidden], "ffn_up.weight": [inner, hidden]}
    return sizes | {"ffn_down.weight": [hidden, inner]}


def _kind(name: str, shape: list[int], kinds: dict[str, str]) -> str:
    if len(shape) == 1 or "ffn_gate_inp" in name:
        return "F32"
    kind = next((kind for part, kind in kinds.items() if part in name), "Q8_0")
    return kind if shape[-1] % BLOCKS[kind][0] == 0 else "F16"
