"""Training memory: a step followed through forward, loss, backward and optimizer step."""

from .estimate import estimate_training

__all__ = ["estimate_training"]
