"""The routes of the page: the shell, its files, the manifest and the service worker."""

import json
from typing import Any, Final, cast

from flask import Blueprint, Response, current_app, render_template, request

from ..api.access import may_read
from ..api.replies import language as accepted_language
from ..messages import LANGUAGES, Language
from ..service import Service
from ..version import VERSION
from . import files
from .first import MODES, first_answer, presets
from .text import PARTS, state_of, verdict

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types page"
)
_ASK_EACH_TIME: Final = "no-cache"
_THEMES: Final = ("light", "dark")

blueprint = Blueprint("web", __name__, template_folder="templates")


@blueprint.get("/")
def shell() -> Response:
    """The page, in the reader's language, with the answer to what its address asks."""
    reader = _language()
    asked = request.args.to_dict() if may_read() else {}
    first = first_answer(_service(), asked, reader)
    html = render_template("page.html", **_context(reader, first)).encode()
    answer = files.reply(html, files.pack(html, 5), "text/html; charset=utf-8", _ASK_EACH_TIME)
    answer.headers["Content-Security-Policy"] = POLICY
    answer.headers["Vary"] = "Accept-Encoding, Accept-Language, Cookie"
    return answer


@blueprint.get("/static/<version>/<path:name>")
def static_file(version: str, name: str) -> Response:
    """A script, style, catalogue or icon; another version's address gives today's file, uncached."""
    return files.send(name) if version == files.build() else files.send(name, _ASK_EACH_TIME)


@blueprint.get("/manifest.webmanifest")
def manifest() -> Response:
    """What an installed page is called and looks like."""
    words = files.words(_language())
    shortcuts = [{"name": words[f"mode.{mode}"], "url": f"/?mode={mode}"} for mode in MODES]
    body = {
        "name": words["app.name"],
        "short_name": words["app.short"],
        "description": words["app.description"],
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": "#F6F7F9",
        "theme_color": "#0B57C2",
        "icons": _icons(),
        "shortcuts": shortcuts,
    }
    text = json.dumps(body, ensure_ascii=False).encode()
    return files.reply(text, files.pack(text), "application/manifest+json; charset=utf-8", _ASK_EACH_TIME)


@blueprint.get("/sw.js")
def worker() -> Response:
    """The service worker, told which files make up this build."""
    listed = [_address(name) for name in files.files() if not name.startswith("icons/") and name != "sw.js"]
    head = f"const BUILD = {json.dumps(files.build())};\nconst FILES = {json.dumps(listed)};\n"
    script = head.encode() + files.files()["sw.js"].plain
    answer = files.reply(script, files.pack(script), "text/javascript; charset=utf-8", _ASK_EACH_TIME)
    answer.headers["Content-Security-Policy"] = "default-src 'none'; connect-src 'self'"
    return answer


@blueprint.get("/favicon.ico")
def favicon() -> Response:
    """The icon under the name that browsers ask for unasked."""
    return files.send("icons/icon.svg", "public, max-age=86400")


def _context(reader: Language, first: dict[str, Any]) -> dict[str, Any]:
    words = files.words(reader)
    boot = {
        "language": reader,
        "version": VERSION,
        "build": files.build(),
        "words": words,
        "presets": presets(),
        "first": first,
    }
    return {
        "language": reader,
        "theme": _cookie("theme", _THEMES),
        "modes": MODES,
        "mode": first["mode"],
        "words": words,
        "address": _address,
        "scripts": files.scripts(),
        "boot": json.dumps(boot, ensure_ascii=False).replace("<", "\\u003c"),
        "first": first,
        "state": state_of(first["answer"]),
        "verdict": verdict(first, words),
        "parts": PARTS,
    }


def _icons() -> list[dict[str, str]]:
    sizes = {"icons/icon.svg": "any", "icons/icon-192.png": "192x192", "icons/icon-512.png": "512x512"}
    kinds = {".svg": "image/svg+xml", ".png": "image/png"}
    return [
        {"src": _address(name), "sizes": size, "type": kinds[name[-4:]], "purpose": "any maskable"}
        for name, size in sizes.items()
    ]


def _address(name: str) -> str:
    return f"/static/{files.build()}/{name}"


def _language() -> Language:
    chosen = _cookie("language", LANGUAGES)
    return cast(Language, chosen) if chosen else accepted_language()


def _cookie(name: str, allowed: tuple[str, ...]) -> str | None:
    value = request.cookies.get(name)
    return value if value in allowed else None


def _service() -> Service:
    return cast(Service, current_app.extensions["service"])
