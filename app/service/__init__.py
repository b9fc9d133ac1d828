"""The one place of orchestration: names looked up, questions asked of the core, answers written out."""

from .service import Calculation, Service, import_everything

__all__ = ["Calculation", "Service", "import_everything"]
