"""Why an option is listed: codes of sentences and the values in them."""

from collections.abc import Sequence
from typing import Final

from ..messages import Message
from ..units import human
from .candidates import nodes
from .requests import Option

TIGHT: Final = 0.05  # share of a GPU: with less headroom a longer prompt than told may not fit


def why(option: Option, options: Sequence[Option], per_node: int) -> list[Message]:
    """What speaks for an option, and what to mind."""
    return [*_rank(option, options), *_layout(option, per_node), *_room(option)]


def _rank(option: Option, options: Sequence[Option]) -> list[Message]:
    if option.cost is None:
        code = "plan_why_no_price" if option.price is None else "plan_why_front"
        return [Message(code, {"gpu": option.gpu.name})]
    priced = [each for each in options if each.cost is not None]
    found = []
    if option is min(priced, key=lambda each: each.cost or 0.0):
        found.append(Message("plan_why_cheapest"))
    if option is max(priced, key=lambda each: each.speed):
        found.append(Message("plan_why_fastest"))
    return found or [Message("plan_why_front")]


def _layout(option: Option, per_node: int) -> list[Message]:
    layout = option.layout
    found = []
    sharded = option.settings.get("fsdp", "none") != "none" or bool(option.settings.get("zero_stage"))
    if sharded and layout.data > 1:
        return [Message("plan_why_sharded", {"replicas": layout.data})]
    if layout.replica == 1:
        found.append(Message("plan_why_one_gpu"))
    if layout.data > 1:
        found.append(Message("plan_why_replicas", {"replicas": layout.data}))
    machines = nodes(option.gpu, layout.replica, per_node)
    if machines > 1:
        found.append(Message("plan_why_machines", {"machines": machines}))
    return found


def _room(option: Option) -> list[Message]:
    share = option.headroom / option.usable
    code = "plan_why_tight" if share < TIGHT else "plan_why_headroom"
    return [
        Message(code, {"free": human(max(0, option.headroom)), "percent": f"{100 * max(0.0, share):.0f}"})
    ]
