"""Training steps of real transformers models over fake tensors, followed by torch's own MemTracker.

Two steps of a plain loop run without a GPU and without memory: gradients are set to none after each step,
the output object is alive until the step is over. The causal mask that only tracing builds is left out,
as it is on a device. What is read is the largest total and the phase in which it stood.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM, masking_utils
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
)

ENCODERS = ("bert", "roberta", "xlm-roberta", "distilbert", "modernbert", "albert", "electra")
PHASES = ("forward", "loss", "backward", "optimizer_step")


@dataclass(frozen=True)
class Case:
    """One training run: a configuration and how it is trained."""

    config: dict[str, Any]
    batch: int = 1
    length: int = 512
    dtype: str = "bfloat16"
    autocast: bool = False
    attention: str = "sdpa"
    checkpointing: bool = False
    optimizer: str = "adamw"
    foreach: bool = True
    lora: dict[str, Any] | None = field(default=None)


def peak(case: Case) -> dict[str, Any]:
    """The largest total of the second step [bytes], its phase, and the largest total of each phase."""
    with FakeTensorMode(allow_non_fake_inputs=True), untraced_masks():
        model = build(case)
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = make_optimizer(case, trained)
        tracker = Tracker()
        tracker.track_external(model, optimizer)
        largest = dict.fromkeys(PHASES, 0)
        with tracker:
            for _ in range(2):
                largest = step(case, model, optimizer, tracker)
    phase = max(PHASES, key=lambda name: largest[name])
    return {"peak": largest[phase], "phase": phase, "phases": largest}


def build(case: Case) -> nn.Module:
    """The model in training mode, adapters around it where the case has them."""
    config = CONFIG_MAPPING[case.config["model_type"]].from_dict(dict(case.config))
    model = whole_model(case.config["model_type"]).from_config(
        config, dtype=getattr(torch, case.dtype), attn_implementation=case.attention
    )
    model.config.use_cache = False
    if case.lora is not None:
        from peft import LoraConfig, get_peft_model

        with replaced_parameters():
            model = get_peft_model(model, LoraConfig(**case.lora))
    if case.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model.train()


def whole_model(model_type: str) -> Any:
    """The class with the head that such models are trained with."""
    if model_type in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES:
        return AutoModelForSeq2SeqLM
    masked = model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    encoder = (masked and model_type in ENCODERS) or model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return AutoModelForMaskedLM if encoder else AutoModelForCausalLM


def make_optimizer(case: Case, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW or SGD over lists of tensors or one by one."""
    if case.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=1e-3, foreach=case.foreach)
    return torch.optim.AdamW(parameters, lr=1e-3, foreach=case.foreach)


def step(
    case: Case, model: nn.Module, optimizer: torch.optim.Optimizer, tracker: MemTracker
) -> dict[str, int]:
    """One step; the largest total in each of its phases."""
    ids = torch.randint(0, 100, (case.batch, case.length))
    labels = torch.randint(0, 100, (case.batch, case.length))
    marks = Marks(tracker)
    base = model.get_base_model() if case.lora is not None else model
    whole_loss, cross_entropy = base.loss_function, functional.cross_entropy

    def marked(loss: Any) -> Any:
        def begin(*args: Any, **kwargs: Any) -> Any:
            marks.enter("loss")
            return loss(*args, **kwargs)

        return begin

    base.loss_function, functional.cross_entropy = marked(whole_loss), marked(cross_entropy)
    context = torch.autocast("cpu", torch.bfloat16) if case.autocast else contextlib.nullcontext()
    marks.enter("forward")
    with context:
        cached = {"use_cache": False} if hasattr(model.config, "use_cache") else {}
        output = model(input_ids=ids, labels=labels, **cached)
    output.logits.register_hook(lambda gradient: marks.enter("backward"))
    output.loss.backward()
    gc.collect()
    marks.enter("optimizer_step")
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    marks.enter("done")
    base.loss_function, functional.cross_entropy = whole_loss, cross_entropy
    del output
    gc.collect()
    return {name: marks.largest.get(name, 0) for name in PHASES}


class Tracker(MemTracker):
    """The tracker without its module hooks, which only name categories: they keep tensors alive that a
    plain run frees (two or more of the residual stream's size under adapters with checkpointing), and
    refuse frozen parameters and a second step. Storages and totals are counted as ever."""

    def __init__(self) -> None:
        super().__init__()
        self._mod_tracker = Unhooked()

    def _track_module_params_and_buffers(
        self, module: nn.Module, install_grad_hooks: bool = True
    ) -> tuple[int, int]:
        return super()._track_module_params_and_buffers(module, install_grad_hooks=False)


class Unhooked:
    """Stands in for the tracker's module hooks: no module is ever entered."""

    is_bw = False
    parents: frozenset[str] = frozenset()

    def __enter__(self) -> None: ...

    def __exit__(self, *problem: object) -> None: ...

    def register_user_hooks(self, *hooks: object) -> None: ...

    def clear_user_hooks(self) -> None: ...


class Marks:
    """The largest total since the present phase began, phase by phase."""

    def __init__(self, tracker: MemTracker) -> None:
        self.tracker = tracker
        self.phase = ""
        self.largest: dict[str, int] = {}

    def enter(self, phase: str) -> None:
        """The present phase ends, another begins."""
        total = max(self.tracker._peak_mem.values(), default=0)
        if self.phase:
            self.largest[self.phase] = max(total, self.largest.get(self.phase, 0))
        self.phase = phase
        self.tracker._peak_mem = dict.fromkeys(self.tracker._peak_mem, 0)


@contextlib.contextmanager
def untraced_masks() -> Iterator[None]:
    """Masks are made as for real tensors: skipped where the kernel is causal by itself."""
    before = masking_utils.is_tracing, masking_utils.find_packed_sequence_indices
    masking_utils.is_tracing = lambda *args, **kwargs: False
    masking_utils.find_packed_sequence_indices = lambda position_ids: None
    try:
        yield
    finally:
        masking_utils.is_tracing, masking_utils.find_packed_sequence_indices = before


@contextlib.contextmanager
def replaced_parameters() -> Iterator[None]:
    """Modules change data type by new parameters: fake tensors cannot be swapped in place."""
    before = nn.Module._apply

    def convert(self: nn.Module, function: Any, recurse: bool = True) -> nn.Module:
        for child in self.children():
            child._apply(function)
        for name, parameter in self._parameters.items():
            if parameter is not None:
                self._parameters[name] = nn.Parameter(function(parameter.detach()), parameter.requires_grad)
        return self

    nn.Module._apply = convert
    try:
        yield
    finally:
        nn.Module._apply = before


def as_row(case: Case) -> dict[str, Any]:
    """The case as plain data, defaults included."""
    return asdict(case)
