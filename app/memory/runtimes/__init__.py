"""The runtimes: each one's own allocation policy, imported when a request first names it."""

from importlib import import_module
from typing import Final, cast

from ...errors import NotSupportedYet, Problem
from ...messages import Message
from ..requests import InferenceRequest
from .base import Deployment

# Backend → file and class.
BY_NAME: Final = {
    "vllm": ("vllm", "VllmDeployment"),
    "sglang": ("sglang", "SglangDeployment"),
    "tensorrt-llm": ("tensorrt_llm", "TensorrtLlmDeployment"),
    "tgi": ("tgi", "TgiDeployment"),
    "transformers": ("transformers", "TransformersDeployment"),
    "llama.cpp": ("llama_cpp", "LlamaCppDeployment"),
    "ollama": ("llama_cpp", "OllamaDeployment"),
    "pytorch": ("transformers", "PytorchDeployment"),
    "fastchat": ("transformers", "FastchatDeployment"),
}


def deploy(request: InferenceRequest) -> Deployment:
    """Set a request up on its runtime; raises `DomainError` where that cannot be."""
    if request.backend not in BY_NAME:
        message = Message("backend_not_supported", {"field": "backend", "value": request.backend})
        raise NotSupportedYet(message, [Problem("backend", message)])
    return runtime_of(request.backend)(request)


def runtime_of(backend: str) -> type[Deployment]:
    """The policy of a backend in `BY_NAME`."""
    file, name = BY_NAME[backend]
    return cast(type[Deployment], getattr(import_module(f"{__name__}.{file}"), name))
