"""Every lineage: how its `config.json` becomes blocks. One file a lineage, one short function a type."""

from importlib import import_module
from pkgutil import iter_modules

from .registry import BODIES, CLASSES, FAMILIES, body, decoder, family, of_class

for _module in sorted(info.name for info in iter_modules(__path__)):
    import_module(f"{__name__}.{_module}")

__all__ = ["BODIES", "CLASSES", "FAMILIES", "body", "decoder", "family", "of_class"]
