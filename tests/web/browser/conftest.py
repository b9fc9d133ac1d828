"""A real browser on a real server: Debian's Chromium driven by Playwright, the application in a thread.

Needs the `browser` extra and the system's `chromium`; CHROMIUM names another executable. Nothing is
fetched but axe-core, from npm, once (AXE names a copy that is there already). THROTTLE=8 makes the pages
eight times slower: what passes so, passes on a busy machine.

Service workers are off but where a test is about them: a worker may answer past `page.route`.
"""

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from app.api.application import create_app
from app.settings import read_settings
from tests.servers import program

playwright = pytest.importorskip("playwright.sync_api")

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What Chromium says of refused and missing answers, and Playwright of a blocked worker.
EXPECTED = ("Failed to load resource", "net::ERR", "Service Worker registration blocked")
PATIENCE_MS = 60_000  # for anything that is waited for

PageMaker = Callable[..., Any]


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the application listens."""
    folder = tmp_path_factory.mktemp("data")
    app = create_app(read_settings({}, data_folder=folder, access_log=False, hub_offline=True))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser."""
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=ARGUMENTS, timeout=PATIENCE_MS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any, address: str) -> Iterator[PageMaker]:
    """Opens a path in a context of its own; at the end, no page may have complained."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def listen(message: Any) -> None:
        if message.type in ("error", "warning") and not any(each in message.text for each in EXPECTED):
            complaints.append(message.text)

    def make(path: str = "/", answered: bool = True, **options: Any) -> Any:
        usual = {"viewport": {"width": 1280, "height": 900}, "locale": "en-US", "service_workers": "block"}
        context = chromium.new_context(**{**usual, **options})
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        slow_down(page)
        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address + path)
        page.wait_for_selector("#pick-model", state="attached")
        if answered:
            page.wait_for_selector("h1[data-state]")
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []


def slow_down(page: Any) -> None:
    """As many times slower as THROTTLE says."""
    if rate := os.environ.get("THROTTLE"):
        session = page.context.new_cdp_session(page)
        session.send("Emulation.setCPUThrottlingRate", {"rate": float(rate)})


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core."""
    if given := os.environ.get("AXE"):
        return Path(given).read_text(encoding="utf-8")
    npm = program("npm")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "axe-core@4"]
    subprocess.run(command, cwd=folder, check=True, timeout=300)
    return (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
