"""The runtimes: each one's own allocation policy."""

from typing import Final

from ...errors import NotSupportedYet, Problem
from ...messages import Message
from ..requests import InferenceRequest
from .base import Deployment
from .llama_cpp import LlamaCppDeployment, OllamaDeployment
from .sglang import SglangDeployment
from .tensorrt_llm import TensorrtLlmDeployment
from .tgi import TgiDeployment
from .transformers import FastchatDeployment, PytorchDeployment, TransformersDeployment
from .vllm import VllmDeployment

RUNTIMES: Final[tuple[type[Deployment], ...]] = (
    VllmDeployment,
    SglangDeployment,
    TensorrtLlmDeployment,
    TgiDeployment,
    TransformersDeployment,
    LlamaCppDeployment,
    OllamaDeployment,
    PytorchDeployment,
    FastchatDeployment,
)
BY_NAME: Final = {runtime.backend: runtime for runtime in RUNTIMES}


def deploy(request: InferenceRequest) -> Deployment:
    """Set a request up on its runtime; raises `DomainError` where that cannot be."""
    runtime = BY_NAME.get(request.backend)
    if runtime is None:
        message = Message("backend_not_supported", {"field": "backend", "value": request.backend})
        raise NotSupportedYet(message, [Problem("backend", message)])
    return runtime(request)
