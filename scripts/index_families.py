"""Write `app/architecture/families/index.json`: which file signs up which names.

Run it after a name is added to a file or moved: `python scripts/index_families.py`; with `--check` it only
says whether the index is right.
"""

import json
import sys
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1]))

from app.architecture.families import index

Written = dict[str, dict[str, list[str]]]
PACKAGE = str(index.__package__)


def written() -> Written:
    """File → table → names, as the files sign them up when all of them are read anew."""
    signed: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    sign = index.Table.__setitem__

    def note(table: index.Table[Any], name: str, value: Any) -> None:
        frame = sys._getframe(1)
        while frame.f_back and frame.f_code.co_name != "<module>":
            frame = frame.f_back
        signed[frame.f_globals["__name__"].rpartition(".")[2]][table.name].add(name)
        sign(table, name, value)

    files = [found.name for found in iter_modules([str(index.FILE.parent)])]
    for file in set(files) - {"index"}:
        sys.modules.pop(f"{PACKAGE}.{file}", None)
    with patch.object(index.Table, "__setitem__", note):
        for file in files:
            import_module(f"{PACKAGE}.{file}")
    return {
        file: {table: sorted(names) for table, names in sorted(signed[file].items())}
        for file in sorted(files)
    }


def main() -> int:
    """Write or check; 1 where the check finds the index wrong."""
    found = written()
    if "--check" in sys.argv[1:]:
        known = index.index()
        wrong = sorted(file for file in found.keys() | known.keys() if found.get(file) != known.get(file))
        print("\n".join(f"index.json is not right about {file}.py" for file in wrong))
        return bool(wrong)
    index.FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
