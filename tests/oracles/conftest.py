"""Without torch and transformers there is nothing to compare with: nothing is collected then."""

from importlib.util import find_spec

NEEDED = ("torch", "transformers", "peft")

collect_ignore_glob = [] if all(map(find_spec, NEEDED)) else ["test_*.py"]
