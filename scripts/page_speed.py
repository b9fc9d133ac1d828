"""How quick the page is: change to painted memory, long tasks, first load, memory after many changes.

Starts the service on a free port and drives the system's Chromium (extra `browser`). Figures are of this
machine as loaded as it is, which is printed beside them: a machine at rest is what they are for.
Run: `python scripts/page_speed.py [--steps 100] [--throttle 1]`.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import sync_playwright

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from screenshots import ARGUMENTS, chromium, service  # noqa: E402

PATHS: Final = {
    "inference": "/?mode=inference&model_name=Qwen3-8B&gpu=rtx-4090",
    "training": "/?mode=training&model_name=Qwen3-0.6B&gpu=rtx-4090&batch_size=1",
    "compare": "/?mode=compare&model_name=Qwen3-32B&gpu=h100-sxm-80gb&b.quantization=fp8&c.quantization=awq",
}
# One slider step after another; each waits for the frame after the new total is on the page.
STEPS: Final = """async ({steps, rest}) => {
  const frame = () => new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve, 0)));
  const shown = () => document.querySelector("#figure-memory figcaption, .column .numbers").textContent;
  const slider = document.querySelector('input[type="range"][data-arg="sequence_length"]');
  const found = [], long = [];
  new PerformanceObserver(list => long.push(...list.getEntries().map(each => each.duration)))
    .observe({type: "longtask"});
  for (let step = 0; step < steps; step += 1) {
    const before = shown(), started = performance.now();
    slider.value = String(200 + (step * 15) % 600);
    slider.dispatchEvent(new Event("input", {bubbles: true}));
    while (shown() === before && performance.now() - started < 3000) await frame();
    await frame();
    found.push(performance.now() - started);
    await new Promise(resolve => setTimeout(resolve, rest));
  }
  return {found, long};
}"""
FIRST: Final = """() => {
  const [entry] = performance.getEntriesByType("navigation");
  const files = performance.getEntriesByType("resource").filter(each => !each.name.includes("/api/"));
  const sizes = files.map(each => each.encodedBodySize);
  return {
    interactive: performance.getEntriesByName("interactive")[0]?.startTime ?? null,
    bytes: entry.encodedBodySize + sizes.reduce((sum, each) => sum + each, 0),
  };
}"""


def quantile(values: list[float], share: float) -> float:
    """The value that a share of all stays below."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def heap(session: Any) -> float:
    """What the page holds after a collection [MB]."""
    session.send("HeapProfiler.collectGarbage")
    return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6


def measure(browser: Any, address: str, name: str, steps: int, throttle: float) -> None:
    """One mode."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, service_workers="block")
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": throttle})
    page.goto(address + PATHS[name])
    page.wait_for_selector("h1[data-state]")
    page.wait_for_function("() => document.documentElement.dataset.asking === '0'")
    first = page.evaluate(FIRST)
    page.evaluate(STEPS, {"steps": 10, "rest": 50})
    before = heap(session)
    quick = page.evaluate(STEPS, {"steps": steps, "rest": 40})
    rested = page.evaluate(STEPS, {"steps": max(10, steps // 5), "rest": 700})
    page.wait_for_function("() => document.documentElement.dataset.asking === '0'")
    grown = heap(session) - before
    started = first["interactive"] or 0
    print(f"{name}: first load {first['bytes'] / 1000:.0f} kB, interactive after {started:.0f} ms")
    for words, run in (("sliding", quick), ("single changes", rested)):
        found = run["found"]
        print(
            f"  {words}: median {quantile(found, 0.5):.0f} ms, p95 {quantile(found, 0.95):.0f} ms, "
            f"most {max(found):.0f} ms; long tasks {len(run['long'])} of {len(found)}, "
            f"longest {max(run['long'], default=0):.0f} ms"
        )
    print(f"  heap: {before:.1f} MB before, {grown:+.2f} MB after {steps + max(10, steps // 5)} changes")
    context.close()


def main() -> None:
    """All modes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--throttle", type=float, default=1)
    asked = parser.parse_args()
    print(f"load of the machine: {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors")
    with service() as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        for name in PATHS:
            measure(browser, address, name, asked.steps, asked.throttle)
        browser.close()


if __name__ == "__main__":
    main()
