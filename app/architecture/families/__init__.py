"""Every lineage: how its `config.json` becomes blocks. One file a lineage, one short function a type."""

from .index import read_all, read_new
from .registry import BODIES, CLASSES, FAMILIES, body, decoder, family, of_class

read_new()

__all__ = ["BODIES", "CLASSES", "FAMILIES", "body", "decoder", "family", "of_class", "read_all"]
