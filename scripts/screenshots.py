"""Pictures of the page for the documentation: each mode in light, dark, on a phone and in Chinese.

Starts the service on a free port, drives the system's Chromium (extra `browser`), and writes
`docs/screenshots/*.png` with few colours, so that each stays small.
Run: `python scripts/screenshots.py` (CHROMIUM names another executable; pillow, where present, packs them).
"""

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import sync_playwright
from werkzeug.serving import make_server

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app.api.application import create_app  # noqa: E402
from app.settings import read_settings  # noqa: E402

FOLDER: Final = ROOT / "docs" / "screenshots"
ARGUMENTS: Final = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
DESK: Final = {"width": 1440, "height": 900}
PHONE: Final = {"width": 390, "height": 844}
MODES: Final = ("inference", "training", "fine-tuning", "compare")
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "light": {"viewport": DESK, "color_scheme": "light", "locale": "en-US"},
    "dark": {"viewport": DESK, "color_scheme": "dark", "locale": "en-US"},
    "phone": {"viewport": PHONE, "color_scheme": "light", "locale": "en-US"},
    "chinese": {"viewport": DESK, "color_scheme": "light", "locale": "zh-CN"},
}


def chromium() -> str:
    """The browser's executable."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"


@contextmanager
def service() -> Iterator[str]:
    """The service on a free port, with a store that goes away."""
    with tempfile.TemporaryDirectory() as folder:
        settings = read_settings({}, data_folder=Path(folder), access_log=False, hub_offline=True)
        server = make_server("127.0.0.1", 0, create_app(settings), threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def shoot(browser: Any, address: str, mode: str, look: str) -> Path:
    """One picture of one mode, once everything under way is answered."""
    context = browser.new_context(service_workers="block", **LOOKS[look])
    page = context.new_page()
    page.goto(f"{address}/?mode={mode}")
    page.wait_for_selector("h1[data-state]")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(800)
    path = FOLDER / f"{mode}-{look}.png"
    page.screenshot(path=path)
    context.close()
    return path


def pack(path: Path) -> None:
    """Fewer colours, where pillow is there to do it."""
    try:
        from PIL import Image
    except ImportError:
        return
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(256)
    small.save(path, optimize=True)


def main() -> None:
    """All of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with service() as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        for mode in MODES:
            for look in LOOKS:
                path = shoot(browser, address, mode, look)
                pack(path)
                print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")
        browser.close()


if __name__ == "__main__":
    main()
