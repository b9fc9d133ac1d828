"""The page as it is served: policy, caching, compression, sizes, language, the first answer."""

import gzip
import json
import re

import pytest
from flask.testing import FlaskClient

from app.web import files
from app.web.first import body_of, first_answer, mode_of, presets

BUDGET = {"html": 20_000, "css": 16_000, "js": 90_000}  # bytes, compressed; the catalogue is in the HTML
PACKED = {"Accept-Encoding": "gzip"}


def boot_of(html: str) -> dict:
    return json.loads(re.search(r'id="boot">(.*?)</script>', html, re.DOTALL)[1])


def test_the_policy_allows_nothing_inline_and_no_other_host(client: FlaskClient) -> None:
    reply = client.get("/")
    policy = reply.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy
    html = reply.get_data(as_text=True)
    assert not re.search(r"\sstyle=|\son\w+=|https?://", html.split('id="boot"')[0])
    assert re.findall(r"<script(?![^>]*(?:src=|application/json))", html) == []


def test_every_file_that_the_page_names_is_there_for_good(client: FlaskClient) -> None:
    html = client.get("/").get_data(as_text=True)
    addresses = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', html))
    assert len(addresses) > 20
    for address in addresses:
        reply = client.get(address)
        assert reply.status_code == 200, address
        assert "immutable" in reply.headers["Cache-Control"]


def test_modules_import_only_what_is_there() -> None:
    for name in files.scripts():
        for imported in re.findall(r'from "\./([^"]+)"', files.files()[name].plain.decode()):
            assert f"js/{imported}" in files.files(), f"{name} imports {imported}"


def test_an_older_address_gives_todays_file_uncached(client: FlaskClient) -> None:
    reply = client.get("/static/0000000000/page.css")
    assert reply.status_code == 200
    assert reply.headers["Cache-Control"] == "no-cache"
    assert client.get("/static/0000000000/none.css").status_code == 404
    assert client.get("/static/0000000000/../page.py").status_code == 404


def test_compressed_where_the_reader_takes_it(client: FlaskClient) -> None:
    address = f"/static/{files.build()}/page.css"
    packed = client.get(address, headers=PACKED)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == client.get(address).data


def test_the_first_load_keeps_its_budget(client: FlaskClient) -> None:
    sizes = {"html": len(client.get("/", headers=PACKED).data)}
    for kind in ("css", "js"):
        packed = [file.packed for name, file in files.files().items() if name.endswith(f".{kind}")]
        sizes[kind] = sum(len(each) for each in packed if each)
    assert {kind: size for kind, size in sizes.items() if size > BUDGET[kind]} == {}
    assert sum(sizes.values()) < 150_000


@pytest.mark.parametrize(
    ("headers", "language"),
    [({}, "en"), ({"Accept-Language": "zh-CN,zh;q=0.9"}, "zh"), ({"Cookie": "language=zh"}, "zh")],
)
def test_the_reader_s_language(client: FlaskClient, headers: dict[str, str], language: str) -> None:
    stranger = client.application.test_client(use_cookies=False)
    html = stranger.get("/", headers=headers).get_data(as_text=True)
    assert boot_of(html)["language"] == language
    assert files.words(language)["mode.fine-tuning"] in html


def test_the_first_answer_is_the_first_preset(client: FlaskClient) -> None:
    first = boot_of(client.get("/").get_data(as_text=True))["first"]
    asked = client.post("/api/memory/inference", json=presets()[0]["body"]).get_json()
    assert first["answer"]["memory_bytes"] == asked["memory_bytes"]


def test_a_link_is_answered_without_scripts(client: FlaskClient) -> None:
    html = client.get("/?model_name=Qwen3-8B&gpu=rtx-4090&batch_size=2").get_data(as_text=True)
    answer = boot_of(html)["first"]["answer"]
    assert answer["model"]["name"] == "Qwen3-8B"
    assert answer["memory_requirements"]["model_weights"] in html.split('id="boot"')[0]


def test_what_only_speed_depends_on_does_not_spoil_the_first_answer(client: FlaskClient) -> None:
    html = client.get("/?model_name=Qwen3-8B&gpu=rtx-4090&request_rate=4&nonsense=1").get_data(as_text=True)
    assert boot_of(html)["first"]["answer"]["model"]["name"] == "Qwen3-8B"


def test_a_wrong_link_says_what_is_wrong(client: FlaskClient) -> None:
    html = client.get("/?model_name=Qwen3-8Bx").get_data(as_text=True)
    assert boot_of(html)["first"]["error"]["status"] == 404
    assert "Qwen3-8B," in html.split('id="boot"')[0]


def test_what_an_address_holds_cannot_leave_its_place(client: FlaskClient) -> None:
    html = client.get("/?model_name=</script><script>alert(1)</script>").get_data(as_text=True)
    assert "<script>alert" not in html


def test_queries_become_requests() -> None:
    query = {"mode": "fine-tuning", "model_name": "7", "lora.rank": "8", "fsdp": "true", "x": "batch_size"}
    assert mode_of(query) == "fine-tuning"
    assert mode_of({"mode": "nonsense"}) == "inference"
    assert body_of(query) == {"model_name": "7", "lora": {"rank": 8}, "fsdp": True}
    assert body_of({"lora": "x", "lora.rank": "8"}) == {"lora": "x"}


@pytest.mark.parametrize("mode", ["inference", "training", "fine-tuning", "compare"])
def test_each_mode_has_a_question_of_its_own(client: FlaskClient, mode: str) -> None:
    reply = client.get(f"/?mode={mode}")
    assert reply.status_code == 200
    service = client.application.extensions["service"]
    assert (first_answer(service, {"mode": mode}, "en")["answer"] is None) == (mode == "compare")


def test_the_presets_are_questions_that_are_answered(client: FlaskClient) -> None:
    assert len(presets()) >= 15
    assert len({preset["id"] for preset in presets()}) == len(presets())
    only_elsewhere = {"request_rate", "concurrency", "targets", "max_gpus"}
    for preset in presets():
        serving = preset.get("calculation_type", preset["mode"]) == "inference"
        kind = "inference" if serving else "training"
        body = {key: value for key, value in preset["body"].items() if key not in only_elsewhere}
        for column in [{}, *preset.get("columns", [])]:
            reply = client.post(f"/api/memory/{kind}", json={**body, **column})
            assert reply.status_code == 200 or reply.get_json()["code"] == "not_supported_yet", preset["id"]


def test_it_can_be_installed(client: FlaskClient) -> None:
    manifest = client.get("/manifest.webmanifest").get_json(force=True)
    assert {"name", "short_name", "start_url", "icons", "shortcuts"} <= manifest.keys()
    for icon in manifest["icons"]:
        assert client.get(icon["src"]).mimetype == icon["type"]
    for shortcut in manifest["shortcuts"]:
        assert client.get(shortcut["url"]).status_code == 200


def test_the_worker_knows_its_build_and_files(client: FlaskClient) -> None:
    reply = client.get("/sw.js")
    text = reply.get_data(as_text=True)
    assert reply.mimetype == "text/javascript"
    assert reply.headers["Cache-Control"] == "no-cache"
    assert files.build() in text
    for address in json.loads(re.search(r"const FILES = (\[.*?\]);", text)[1]):
        assert client.get(address).status_code == 200
