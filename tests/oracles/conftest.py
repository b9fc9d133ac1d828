"""Without the real libraries there is nothing to compare with: nothing is collected then."""

from importlib.util import find_spec

NEEDED = ("torch", "transformers", "peft", "gguf")

collect_ignore_glob = [] if all(map(find_spec, NEEDED)) else ["test_*.py"]
