"""The package under its installed name, in a checkout: `python3 llm_estimate.py --help` is the command line,
`from llm_estimate import PerformanceEstimator` the Python interface. In the wheel the package itself is here.
"""

import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app import *  # noqa: F403

_ROOT = Path(__file__).resolve().parent


def _become_the_package() -> None:
    """Put the package of `app/` in this module's place, under this module's name."""
    folder = _ROOT / "app"
    spec = importlib.util.spec_from_file_location(
        "llm_estimate", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} lacks the package", name="llm_estimate")
    package = importlib.util.module_from_spec(spec)
    sys.modules["llm_estimate"] = package
    spec.loader.exec_module(package)


def _run() -> None:
    """The command line, in the environment that `make` has set up where this one lacks what it needs."""
    if importlib.util.find_spec("click") is None or importlib.util.find_spec("marshmallow") is None:
        python = _ROOT / ".venv" / "bin" / "python"
        if not python.exists() or Path(sys.prefix) == python.parents[1]:
            sys.exit(
                "llm-estimate needs its dependencies: run `make serve` once, or `pip install -e .` here."
            )
        os.execv(python, [str(python), *sys.argv])  # noqa: S606
    from llm_estimate.cli.main import main

    main()


_become_the_package()
if __name__ == "__main__":
    _run()
