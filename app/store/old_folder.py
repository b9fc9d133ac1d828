"""The folder that held users' models before there were tables; what is asked of it at every start."""

from collections.abc import Iterator
from pathlib import Path


def models_in(folder: Path) -> Iterator[Path]:
    """Its files, in no order."""
    return (path for path in folder.glob("[!.]*.json") if path.is_file() and not path.is_symlink())


def has_models(folder: Path) -> bool:
    """Whether there is anything to import."""
    return next(models_in(folder), None) is not None


def mark_of(folder: Path) -> str:
    """The topic among the changes that says that a folder was imported."""
    import hashlib  # most services have no such folder

    return f"imported:{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:32]}"
