"""The runtimes: each one's own allocation policy."""

from typing import Final

from ...errors import NotSupportedYet, Problem
from ...messages import Message
from ..requests import InferenceRequest
from .base import Deployment
from .transformers import TransformersDeployment
from .vllm import VllmDeployment

DEPLOYMENTS: Final[dict[str, type[Deployment]]] = {
    "vllm": VllmDeployment,
    "transformers": TransformersDeployment,
}


def deploy(request: InferenceRequest) -> Deployment:
    """Set a request up on its runtime; raises `DomainError` where that cannot be."""
    runtime = DEPLOYMENTS.get(request.backend)
    if runtime is None:
        message = Message("backend_not_supported", {"field": "backend", "value": request.backend})
        raise NotSupportedYet(message, [Problem("backend", message)])
    return runtime(request)
