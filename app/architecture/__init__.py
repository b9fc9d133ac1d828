"""A model written down once, as its forward pass; every number is a reading of it."""

from .architecture import Architecture
from .reading import find_type, read_config
from .sections import Block, Section

__all__ = ["Architecture", "Block", "Section", "find_type", "read_config"]
