"""The folder that held users' models before there were tables; what is asked of it at every start."""

import hashlib
from pathlib import Path


def has_models(folder: Path) -> bool:
    """Whether there is anything to import."""
    return any(folder.glob("[!.]*.json"))


def mark_of(folder: Path) -> str:
    """The topic among the changes that says that a folder was imported."""
    return f"imported:{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:32]}"
