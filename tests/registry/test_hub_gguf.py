"""GGUF files of the hub: headers by ranges, however long, and nothing of what a hub may do to them."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.errors import HubError, HubNotFound, HubTimeout, InvalidRequest
from app.registry import gguf as gguf_module
from app.registry.hub import HubClient
from app.registry.transfer import Limits

from . import fake_hub
from .fake_hub import FakeHub
from .gguf_writer import gguf, llama
from .test_gguf_files import split

REPO = "me/tiny-GGUF"
FILE = "tiny-Q4_K_M.gguf"


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with fake_hub.running() as running:
        yield running


@pytest.fixture
def client(hub: FakeHub) -> HubClient:
    return HubClient(hub.endpoint, "secret")


def spans(hub: FakeHub) -> list[str | None]:
    return [headers.get("Range") for _, headers in hub.seen]


def test_one_file_without_its_data(hub: FakeHub, client: HubClient) -> None:
    hub.put(REPO, FILE, gguf(*llama(), data=False))
    found = client.gguf(REPO, FILE)
    assert (found.name, found.architecture, len(found.tensors)) == ("tiny-Q4_K_M", "llama", 21)
    assert spans(hub) == ["bytes=0-262143"]
    assert hub.tokens() == ["Bearer secret"]


def test_a_long_header_takes_more_requests_and_no_more_than_it_needs(
    hub: FakeHub, client: HubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf_module, "_FIRST_READ", 1000)
    monkeypatch.setattr(gguf_module, "_NEXT_READ", 3000)
    metadata, tensors = llama(vocabulary=512)
    content = gguf({**metadata, "a.scores": [0.5] * 5000}, tensors)
    hub.put(REPO, FILE, content)
    found = client.gguf(REPO, FILE)
    assert found.bytes == sum(tensor.bytes for tensor in found.tensors)
    assert found.file_bytes == len(content)
    assert spans(hub)[0] == "bytes=0-999"
    assert 4 < len(spans(hub)) < 12
    assert sum(_length(span) for span in spans(hub)) < 30_000


def _length(span: str | None) -> int:
    first, last = (span or "").removeprefix("bytes=").split("-")
    return int(last) - int(first) + 1


def test_all_parts_of_a_split_file(hub: FakeHub, client: HubClient) -> None:
    for number, content in enumerate(split(), start=1):
        hub.put(REPO, f"q4/x-{number:05}-of-00003.gguf", content)
    found = client.gguf(REPO, "q4/x-00003-of-00003.gguf")
    assert [name for name, _ in found.headers] == [f"q4/x-0000{each}-of-00003.gguf" for each in (1, 2, 3)]
    assert (len(found.tensors), len(hub.seen)) == (21, 3)


def test_a_missing_part_is_not_found(hub: FakeHub, client: HubClient) -> None:
    hub.put(REPO, "x-00001-of-00003.gguf", split()[0])
    with pytest.raises(HubNotFound):
        client.gguf(REPO, "x-00001-of-00003.gguf")


@pytest.mark.parametrize(
    "answer",
    [
        fake_hub.endless, fake_hub.cut_short, fake_hub.no_http, fake_hub.status(500), fake_hub.status(416),
        fake_hub.redirect("http://169.254.169.254/x"), fake_hub.ignores_ranges, fake_hub.endless_chunks,
        lambda handler: handler.send(206, b"GGUF" + b"\xff" * 1000),
        lambda handler: handler.send(206, b""),
        lambda handler: handler.send(206, gguf(*llama())[:300]),
    ],
    ids=range(11),
)  # fmt: skip
def test_a_hub_that_lies_costs_little(hub: FakeHub, client: HubClient, answer: fake_hub.Answer) -> None:
    hub.answers[hub.put(REPO, FILE, gguf(*llama()))] = answer
    with pytest.raises(HubError) as error:
        client.gguf(REPO, FILE)
    assert all(error.value.text(language) for language in ("en", "zh"))  # type: ignore[arg-type]
    assert "secret" not in str(error.value)


def test_a_hub_that_hangs_is_left(hub: FakeHub, client: HubClient) -> None:
    hub.answers[hub.put(REPO, FILE, b"")] = fake_hub.hang
    with pytest.raises(HubTimeout):
        replace(client, limits=Limits(connect=1, read=0.3, total=0.6)).gguf(REPO, FILE)


@pytest.mark.parametrize("file", ["../x.gguf", "x.safetensors", "x-00001-of-99999.gguf"])
def test_what_is_no_file_never_leaves(hub: FakeHub, client: HubClient, file: str) -> None:
    with pytest.raises(InvalidRequest):
        client.gguf(REPO, file)
    assert hub.seen == []
