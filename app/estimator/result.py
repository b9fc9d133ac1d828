"""An answer as a dict that shows itself well in a notebook."""

from collections.abc import Mapping
from html import escape
from typing import Any, Final

# Figures of an answer on speed, in the order in which they are shown.
_FIGURES: Final = (
    "throughput_tokens_per_sec",
    "output_tokens_per_sec",
    "ttft_ms",
    "tpot_ms",
    "e2e_latency_ms",
    "tokens_per_sec",
    "step_ms",
    "mfu",
    "days",
    "cost_usd",
    "memory_usage_gb",
    "bottleneck",
)


class Result(dict[str, Any]):
    """The answer of the interface, key by key; in a notebook a table of what it says."""

    def _repr_html_(self) -> str:
        lines = [(name, text) for name, text in self._lines() if text]
        rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in lines)
        notes = "".join(f"<li>{escape(str(each.get('message', '')))}</li>" for each in self._warnings())
        return f"<table>{rows}</table>" + (f"<ul>{notes}</ul>" if notes else "")

    def _lines(self) -> list[tuple[str, str]]:
        model = self.get("model")
        lines = [("model", str(model.get("name", "")) if isinstance(model, Mapping) else "")]
        lines += [(name, _shown(self[name])) for name in _FIGURES if self.get(name) is not None]
        sizes = self.get("memory_requirements")
        lines += [(name, str(size)) for name, size in sizes.items()] if isinstance(sizes, Mapping) else []
        fit = self.get("fit")
        if isinstance(fit, Mapping):
            lines.append(("fits", "yes" if fit.get("fits") else "no"))
        if len(lines) == 1:
            lines += [(name, _shown(value)) for name, value in self.items() if name != "model"]
        return lines

    def _warnings(self) -> list[Mapping[str, Any]]:
        return list(self.get("warnings") or ())


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value) if isinstance(value, str | int) else ""
