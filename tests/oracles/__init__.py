"""Comparisons with the real libraries: they need requirements.txt; `make test` leaves them out."""

from importlib.util import find_spec
from typing import Any

PICKS_BOXES = ("nms", "qnms")
DEFINED: list[Any] = []  # a library's definitions last as long as it does


def let_torchvision_in() -> None:
    """Import torchvision where its compiled operators are another torch's: no model here runs them.

    What it says of operators that are not there fails then; with their names alone it does not.
    """
    try:
        import torchvision
    except RuntimeError:
        from torch.library import Library

        library = Library("torchvision", "DEF")
        for name in PICKS_BOXES:
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        DEFINED.append(library)
        import torchvision  # noqa: F401


if find_spec("torchvision"):
    let_torchvision_in()
