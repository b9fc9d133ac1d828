"""Towers that a configuration names by the timm package's own names, and Perception LM, which has one."""

import re
from collections.abc import Mapping
from functools import partial
from math import isqrt
from typing import Any, Final

from msgspec import Struct

from ..blocks.vision import both_ways, held, patches, vision_layer
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .composite import language, logits, picture, project, see, tower
from .fastvit import fastvit
from .registry import family
from .towers import norm


class Size(Struct, frozen=True):
    """A Perception Encoder (arXiv 2504.13181) as timm's own name has it; `plain`: without the pooling head
    that `core` ends with unless told otherwise, and without the last norm."""

    width: int
    depth: int
    heads: int
    ratio: float
    class_token: bool
    plain: bool


ENCODERS: Final = {
    "vit_pe_core_tiny_patch16_384": Size(192, 12, 3, 4.0, True, False),
    "vit_pe_core_small_patch16_384": Size(384, 12, 6, 4.0, True, False),
    "vit_pe_core_base_patch16_224": Size(768, 12, 12, 4.0, True, False),
    "vit_pe_core_large_patch14_336": Size(1024, 24, 16, 4.0, True, False),
    "vit_pe_core_gigantic_patch14_448": Size(1536, 50, 16, 8960 / 1536, False, False),
    "vit_pe_lang_large_patch14_448": Size(1024, 23, 16, 4.0, True, True),
    "vit_pe_lang_gigantic_patch14_448": Size(1536, 47, 16, 8960 / 1536, False, True),
}
ARGUMENTS: Final = frozenset(
    {
        "class_token", "depth", "embed_dim", "global_pool", "img_size", "init_values", "mlp_ratio",
        "num_heads", "ref_feat_shape", "use_post_transformer_norm",
    }
)  # fmt: skip


def arguments(c: Config, size: Size) -> Config:
    """What the model is made with: the name's values, and those that `model_args` states instead."""
    stated: Mapping[str, Any] = c.mapping("model_args")
    if unknown := sorted(stated.keys() - ARGUMENTS):
        raise c.uncovered("model_args", f"{unknown[0][:40]} is not described here")
    side = int(re.sub(r".*_", "", c.text("architecture")))
    given = {
        "embed_dim": size.width,
        "depth": size.depth,
        "num_heads": size.heads,
        "mlp_ratio": size.ratio,
        "class_token": size.class_token,
        "img_size": side,
        "init_values": 0.1 if size.plain else None,
        "use_post_transformer_norm": not size.plain,
        "global_pool": "avg" if size.plain else "map",
    }
    return Config({**given, **stated}, "", f"{c.path}.model_args")


def perception_encoder(c: Config, m: ModelBuilder) -> None:
    """Patches between norms, layers that turn by row and column; no pooling at the end."""
    a = arguments(c, ENCODERS[c.text("architecture")])
    if not ENCODERS[c.text("architecture")].plain and a.text("global_pool"):
        raise a.uncovered("global_pool", "the encoder's pooling head is not described here")
    width, heads = a.size("embed_dim"), a.size("num_heads")
    if width % heads:
        raise a.wrong("num_heads", "config_not_divisible", value=heads, of=width)
    found = re.search(r"_patch(\d+)_", c.text("architecture"))
    side = int(found[1]) if found else 1
    high, wide = a.pair("img_size")
    count = (high // side) * (wide // side)
    rows = count + a.flag("class_token")

    def embed(t: Trace) -> Tensor:
        if a.flag("class_token"):
            held(t, "cls_token", 1, 1, width)
        held(t, "pos_embed", 1, rows, width)
        return patches(t, "patch_embed.proj", 3, width, (side, side), bias=False)

    layer = partial(
        vision_layer,
        heads=both_ways(heads, width, turned=True),
        inner=int(width * a.number("mlp_ratio", 4.0)),
        act="gelu",
        module="attn",
        qkv=("qkv", "proj"),
        norms=("norm1", "norm2"),
        scales=None if a.get("init_values") is None else ("gamma_1", "gamma_2"),
    )
    m.single("vision", embed)
    norm(m, "norm_pre", width)
    m.stack(a.count("depth"), layer, width=width, name="blocks.{}", axis=Axis.PATCHES)
    if a.flag("use_post_transformer_norm"):
        norm(m, "norm", width)
    picture(m, size=(high, wide), patches=rows, tokens=count)


@tower("timm_wrapper")
def timm_wrapper(c: Config, m: ModelBuilder) -> None:
    """One of the package's models by its name; only those that language models are published with."""
    name = c.text("architecture")
    merged = dict(c.mapping("model_args")) == {"inference_mode": True}
    with m.prefix("timm_model"):
        if name == "fastvit_mci3" and merged:
            fastvit(m)
        elif name in ENCODERS:
            perception_encoder(c, m)
        else:
            raise c.uncovered("architecture", "this model of the timm package is not described here")


@family("perception_lm")
def perception_lm(c: Config, m: ModelBuilder) -> None:
    """Perception LM (arXiv 2504.13180): two layers, then every so many patches averaged to a token."""
    vision = see(c, m, "model.vision_tower")
    args = vision.mapping("model_args")
    if type(args.get("embed_dim")) is not int:
        raise vision.uncovered("model_args", "Perception LM reads the width of its encoder there")
    text, width = language(c, m), args["embed_dim"]

    def write(t: Trace) -> Tensor:
        x = t.linear("linear_1", t.input(width, Axis.PATCHES), text.hidden, bias=True)
        return t.linear("linear_2", t.elementwise("gelu", x), text.hidden, bias=True)

    project(m, "model.multi_modal_projector", write)
    side = isqrt(m.notes["image"]["tokens"]) // c.size("projector_pooling_ratio", 1)
    m.notes["image"] |= {"tokens": max(1, side * side)}
    logits(c, m, text, tied=text.tied if c.get("tie_word_embeddings") is None else c.tied)
