"""How much GPU memory a large language model needs, how fast it will be and what to run it on."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import version

__version__ = version.VERSION

if TYPE_CHECKING:
    from .errors import DomainError
    from .estimator.accelerator import Device, create_accelerator
    from .estimator.functions import (
        calibrate,
        compare,
        estimate,
        inspect,
        list_accelerators,
        list_models,
        memory_inference,
        memory_training,
        performance_inference,
        performance_training,
        recommend,
        sweep,
        validate_log,
    )
    from .estimator.performance import PerformanceEstimator
    from .estimator.result import Result

__all__ = [
    "Device",
    "DomainError",
    "PerformanceEstimator",
    "Result",
    "__version__",
    "calibrate",
    "compare",
    "create_accelerator",
    "estimate",
    "inspect",
    "list_accelerators",
    "list_models",
    "memory_inference",
    "memory_training",
    "performance_inference",
    "performance_training",
    "recommend",
    "sweep",
    "validate_log",
]

# Where each name lives; it is imported when first used, so that `import llm_estimate` costs nothing.
_HOMES = {
    "DomainError": "errors",
    "Device": "estimator.accelerator",
    "create_accelerator": "estimator.accelerator",
    "PerformanceEstimator": "estimator.performance",
    "Result": "estimator.result",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES.get(name, 'estimator.functions')}", __name__), name)


def __dir__() -> list[str]:
    return __all__
