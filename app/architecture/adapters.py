"""Reading: what low-rank adapters add, as PEFT chooses modules and makes matrices.

PEFT (arXiv 2106.09685; `peft/tuners/lora`): `all-linear` is every linear module except the output
head; a list matches a module whose path is, or ends in `.` and, a name of it. Bare parameters are no
modules and get no adapter, but for the lineages below: where transformers 5 stacked what were modules
before, PEFT takes the older names and means the stacked tensors (`utils/transformers_weight_conversion.py`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from .operations import Convolution, Embedding, Linear, Operation, Parameter
from .sections import Section
from .tensors import own_parameters

Adaptable = Linear | Embedding | Convolution

# Older names of experts and routers, and the tensors they are in now.
MIXTRAL: Final = {"gate": "gate.weight", "w1": "gate_up_proj", "w3": "gate_up_proj", "w2": "down_proj"}
QWEN: Final = {
    "gate": "gate.weight",
    "gate_proj": "gate_up_proj",
    "up_proj": "gate_up_proj",
    "down_proj": "down_proj",
}
STACKED: Final[Mapping[str, Mapping[str, str]]] = dict.fromkeys(
    ("mixtral", "minimax", "minimax_m2"), MIXTRAL
) | (
    dict.fromkeys(
        (
            "afmoe",
            "beam",
            "cohere2_moe",
            "deepseek_v2",
            "deepseek_v3",
            "deepseek_v32",
            "dots1",
            "ernie4_5_moe",
            "exaone_moe",
            "flex_olmo",
            "glm4_moe",
            "glm4_moe_lite",
            "glm4v_moe",
            "glm_moe_dsa",
            "hunyuan_v1_moe",
            "longcat_flash",
            "mellum",
            "olmoe",
            "qwen3_moe",
            "qwen3_next",
            "qwen3_omni_moe",
            "qwen3_omni_moe_text",
            "qwen3_omni_moe_thinker",
            "solar_open",
        ),
        QWEN,
    )
)


class Target(Struct, frozen=True):
    """One distinct module that adapters attach to, and at how many places."""

    section: Section
    operation: Adaptable
    count: int


def is_everything(target_modules: str | Sequence[str]) -> bool:
    """Whether a choice is `all-linear`."""
    return isinstance(target_modules, str) and target_modules.lower() == "all-linear"


def _leaf(op: Operation) -> str:
    return op.name.rpartition(".")[2]


def modules(sections: Iterable[Section]) -> Iterator[Target]:
    """Every module that an adapter could name, once however often a block calls it."""
    for section in sections:
        seen: set[str] = set()
        for op in section.block.operations:
            if isinstance(op, Linear | Embedding | Convolution) and _is_module(op) and op.name not in seen:
                seen.add(op.name)
                yield Target(section, op, _places(section))


def _places(section: Section) -> int:
    """Places with a module of their own: blocks that share weights are modules of their own, each."""
    return len(section.indices) if section.shares else section.copies


def _paths(target: Target) -> Iterator[str]:
    """The module's path at every place."""
    template = f"{target.section.template}{target.operation.name}"
    places = target.section.indices if "{}" in target.section.template else (0,)
    return (template.replace("{}", str(index)) for index in places)


def _is_module(op: Operation) -> bool:
    return not isinstance(op, Linear) or op.module


def targets(sections: Iterable[Section], target_modules: str | Sequence[str]) -> list[Target]:
    """The modules that a choice names; `all-linear` or a list of names or path endings."""
    if is_everything(target_modules):
        return [t for t in modules(sections) if isinstance(t.operation, Linear) and not t.operation.head]
    names = [target_modules] if isinstance(target_modules, str) else target_modules
    anywhere = [name for name in names if not _names_places(name)]
    somewhere = [name for name in names if _names_places(name)]
    return [
        replace(target, count=count)
        for target in modules(sections)
        if (count := _matching(target, anywhere, somewhere))
    ]


def _names_places(name: str) -> bool:
    """Whether a name has an index of a layer in it, so that it may mean one of many."""
    return any(part.isdigit() for part in name.split("."))


def _matching(target: Target, anywhere: Sequence[str], somewhere: Sequence[str]) -> int:
    """At how many of its places a module is named; `anywhere`: names that mean all places or none."""
    if any(_matches(next(_paths(target)), name) for name in anywhere):
        return target.count
    return sum(any(_matches(path, name) for name in somewhere) for path in _paths(target)) if somewhere else 0


def _matches(path: str, name: str) -> bool:
    return path == name or path.endswith(f".{name}")


def adapter_size(op: Adaptable, rank: int) -> int:
    """Elements of both matrices: rank x (in + out)."""
    match op:
        case Linear():
            return rank * (op.fan_in // op.groups + op.fan_out)
        case Embedding():
            return rank * (op.rows + op.width)
        case Convolution():
            return rank * (op.channels_in // op.groups * op.kernel + op.channels_out)


def stacked_size(parameter: Parameter, rank: int) -> int:
    """Elements of both matrices of a tensor of stacked matrices: `rank` for each of them."""
    *stack, rows, columns = parameter.shape
    return rank * (rows + columns) * (stack[0] if stack else 1)


class Chosen(Struct, frozen=True):
    """What a choice names: modules, and stacked tensors by name with how many older names mean each
    (a tensor that two names mean has twice the rank)."""

    modules: tuple[Target, ...]
    stacked: Mapping[str, int]

    def times(self, parameter: Parameter) -> int:
        """How many times the rank an adapter on this tensor has; 0 for none."""
        return sum(count for name, count in self.stacked.items() if f".{parameter.name}".endswith(f".{name}"))

    def tensors(self, sections: Iterable[Section]) -> Iterator[tuple[Section, Parameter, int]]:
        """Every stacked tensor with its multiple of the rank."""
        for section in sections:
            for parameter in own_parameters(section) if self.stacked else ():
                if times := self.times(parameter):
                    yield section, parameter, times


def choose(sections: Iterable[Section], target_modules: str | Sequence[str], model_type: str = "") -> Chosen:
    """The modules and stacked tensors that a choice names in a model of this type."""
    found, older = tuple(sections), STACKED.get(model_type, {})
    chosen = targets(found, target_modules)
    if not older:
        return Chosen(tuple(chosen), {})
    if is_everything(target_modules):  # there PEFT goes by the last part of each path, whatever the module
        chosen = targets(found, sorted({_leaf(t.operation) for t in chosen}))
        names: Sequence[str] = list(older)
    else:
        names = [target_modules] if isinstance(target_modules, str) else target_modules
    meant = Counter(now for name in names if (now := older.get(name.rpartition(".")[2])) is not None)
    return Chosen(tuple(t for t in chosen if _leaf(t.operation) not in older), meant)


def lora_parameters(
    sections: Iterable[Section],
    rank: int,
    target_modules: str | Sequence[str] = "all-linear",
    model_type: str = "",
) -> int:
    """Trainable parameters of adapters of `rank` on the chosen modules (and stacked tensors)."""
    found = tuple(sections)
    chosen = choose(found, target_modules, model_type)
    modules = sum(t.count * adapter_size(t.operation, rank) for t in chosen.modules)
    stacked = sum(
        section.copies * stacked_size(parameter, times * rank)
        for section, parameter, times in chosen.tensors(found)
    )
    return modules + stacked
