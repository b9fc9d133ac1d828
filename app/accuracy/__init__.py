"""Our error on published measurements: the runs that others measured, predicted, and how far off we were."""

from .summary import accuracy_report, speed_report

__all__ = ["accuracy_report", "speed_report"]
