"""The hub client against a hub that behaves, and against one that does not."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.errors import HubError, HubNotFound, HubOffline, HubTimeout, InvalidRequest
from app.registry import hub as hub_module
from app.registry.hub import HubClient
from app.registry.transfer import MOST_REDIRECTS, Limits
from app.settings import read_settings

from . import fake_hub
from .fake_hub import FakeHub, safetensors, tensor

REPO = "me/tiny"
CONFIG = {"model_type": "llama", "hidden_size": 8}
ONE_FILE = {
    "__metadata__": {"format": "pt"},
    "w": tensor("BF16", [4, 8], 64),
    "b": tensor("F32", [4], 16, 64),
    "packed": tensor("F4", [3, 2], 3, 80),
    "scalar": tensor("I64", [], 8, 83),
}


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with fake_hub.running() as running:
        running.put(REPO, "config.json", CONFIG)
        yield running


@pytest.fixture
def client(hub: FakeHub) -> HubClient:
    return HubClient(hub.endpoint)


def hasty(client: HubClient) -> HubClient:
    """A client whose patience ends soon."""
    return replace(client, limits=Limits(connect=1, read=0.3, total=0.6))


def answer(hub: FakeHub, file: str, special: fake_hub.Answer) -> None:
    hub.answers[f"/{REPO}/resolve/main/{file}"] = special


def code(error: pytest.ExceptionInfo[HubError]) -> str:
    for language in ("en", "zh"):
        assert error.value.text(language)  # type: ignore[arg-type]
    return error.value.message.code


def test_one_file(hub: FakeHub, client: HubClient) -> None:
    hub.put(REPO, "model.safetensors", safetensors(ONE_FILE))
    model = client.model(REPO)
    assert model.config == CONFIG
    assert model.tensors is not None
    assert model.tensors["w"].shape == (4, 8)
    entry = model.entry()
    assert (entry.name, entry.repo_id, entry.builtin) == ("tiny", REPO, False)
    assert entry.meta["checkpoint_bytes"] == 64 + 16 + 3 + 8
    assert entry.meta["checkpoint_elements"] == {"BF16": 32, "F32": 4, "F4": 6, "I64": 1}


def test_shards_are_read_once_each_and_weights_never(hub: FakeHub, client: HubClient) -> None:
    index = {"weight_map": {"a": "s-1.safetensors", "b": "s-2.safetensors", "c": "s-2.safetensors"}}
    hub.put(REPO, "model.safetensors.index.json", index)
    hub.put(REPO, "s-1.safetensors", safetensors({"a": tensor("F16", [2], 4)}))
    hub.put(REPO, "s-2.safetensors", safetensors({"b": tensor("U8", [2], 2), "c": tensor("I8", [3], 3, 2)}))
    assert client.model(REPO).entry().meta["checkpoint_bytes"] == 9
    spans = [headers.get("Range") for path, headers in hub.seen if "s-" in path]
    assert spans == ["bytes=0-131071"] * 2


def test_a_long_header_takes_a_second_request(hub: FakeHub, client: HubClient) -> None:
    hub.put(REPO, "model.safetensors", safetensors(ONE_FILE, padding=300_000))
    assert len(client.model(REPO).tensors or {}) == 4


def test_without_safetensors_the_config_alone(hub: FakeHub, client: HubClient) -> None:
    model = client.model(REPO)
    assert model.tensors is None
    assert "checkpoint_bytes" not in model.entry().meta


def test_a_revision_is_quoted(hub: FakeHub, client: HubClient) -> None:
    hub.put(REPO, "config.json", {"model_type": "gpt2"}, revision="refs%2Fpr%2F1")
    assert client.config(REPO, "refs/pr/1") == {"model_type": "gpt2"}


def test_infinity_of_a_published_config_reads_as_null(hub: FakeHub, client: HubClient) -> None:
    hub.put(REPO, "config.json", b'{"time_step_limit": [0.0, Infinity]}')
    assert client.config(REPO) == {"time_step_limit": [0.0, None]}


@pytest.mark.parametrize(
    "repo", ["", "../etc", "a/b/c", "a/../b", "a b", "a/.b", "http://x/y", "x" * 300, "a/b\n"]
)
def test_what_is_no_repository_never_leaves(hub: FakeHub, client: HubClient, repo: str) -> None:
    with pytest.raises(InvalidRequest):
        client.model(repo)
    assert hub.seen == []


@pytest.mark.parametrize("revision", ["../x", "a..b", "a?b", "/x", "a\n", "x" * 300])
def test_what_is_no_revision_never_leaves(hub: FakeHub, client: HubClient, revision: str) -> None:
    with pytest.raises(InvalidRequest):
        client.model(REPO, revision)
    assert hub.seen == []


def test_offline_never_asks(hub: FakeHub, client: HubClient) -> None:
    with pytest.raises(HubOffline):
        replace(client, offline=True).model(REPO)
    assert hub.seen == []


def test_the_settings_say_which_hub() -> None:
    settings = read_settings({"HF_ENDPOINT": "http://hub.example/", "HF_TOKEN": "t", "HF_HUB_OFFLINE": "1"})
    client = HubClient.from_settings(settings)
    assert (client.endpoint, client.token, client.offline) == ("http://hub.example", "t", True)
    client = HubClient.from_settings(read_settings({}))
    assert (client.endpoint, client.token, client.offline) == ("https://huggingface.co", None, False)
    assert "secret" not in repr(replace(client, token="secret"))


def test_a_missing_repository(client: HubClient) -> None:
    with pytest.raises(HubNotFound) as error:
        client.model("me/nothing")
    assert code(error) == "hub_not_found"


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, "hub_denied"), (403, "hub_denied"), (429, "hub_status"), (500, "hub_status")],
)
def test_a_refusal(hub: FakeHub, client: HubClient, status: int, expected: str) -> None:
    answer(hub, "config.json", fake_hub.status(status))
    with pytest.raises(HubError) as error:
        client.model(REPO)
    assert code(error) == expected
    assert error.value.code == "hub_failed"


@pytest.mark.parametrize("slow", [fake_hub.hang, fake_hub.drip])
def test_a_slow_hub_is_left(hub: FakeHub, client: HubClient, slow: fake_hub.Answer) -> None:
    answer(hub, "config.json", slow)
    with pytest.raises(HubTimeout) as error:
        hasty(client).model(REPO)
    assert code(error) == "hub_timeout"


def test_an_unreachable_hub() -> None:
    with pytest.raises(HubError) as error:
        HubClient("http://127.0.0.1:1").model(REPO)
    assert code(error) == "hub_unreachable"


def test_an_endless_answer_is_cut(hub: FakeHub, client: HubClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MOST_CONFIG", 100_000)
    answer(hub, "config.json", fake_hub.endless)
    with pytest.raises(HubError) as error:
        client.model(REPO)
    assert code(error) == "hub_too_large"


def test_a_large_file_is_not_even_begun(
    hub: FakeHub, client: HubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "MOST_CONFIG", 10)
    with pytest.raises(HubError) as error:
        client.model(REPO)
    assert code(error) == "hub_too_large"


def test_a_lie_about_the_length(hub: FakeHub, client: HubClient) -> None:
    answer(hub, "config.json", fake_hub.cut_short)
    with pytest.raises(HubError) as error:
        client.model(REPO)
    assert code(error) in ("hub_cut_short", "hub_unreachable")


def test_a_hub_without_ranges_sends_no_weights(hub: FakeHub, client: HubClient) -> None:
    hub.put(REPO, "model.safetensors", safetensors(ONE_FILE))
    answer(hub, "model.safetensors", fake_hub.ignores_ranges)
    with pytest.raises(HubError) as error:
        client.model(REPO)
    assert code(error) == "hub_no_ranges"


def test_redirects_within_the_hub_keep_the_token(hub: FakeHub, client: HubClient) -> None:
    other = hub.put("moved/tiny", "config.json", {"model_type": "moved"})
    answer(hub, "config.json", fake_hub.redirect(other))
    assert replace(client, token="secret").config(REPO) == {"model_type": "moved"}
    assert hub.tokens() == ["Bearer secret", "Bearer secret"]


def test_no_redirect_to_another_host(hub: FakeHub, client: HubClient) -> None:
    with fake_hub.running() as other:
        target = other.endpoint + other.put(REPO, "config.json", {"model_type": "evil"})
        answer(hub, "config.json", fake_hub.redirect(target))
        listed = replace(client, token="secret", download_hosts=("127.0.0.1",))
        for each in (client, listed):  # a listed host too needs https
            with pytest.raises(HubError) as error:
                each.config(REPO)
            assert code(error) == "hub_redirect"
        assert other.seen == []


def test_the_token_stays_with_its_origin(
    hub: FakeHub, client: HubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.registry.transfer.Transfer._next", lambda self, url, location, path: location)
    with fake_hub.running() as other:
        target = other.endpoint + other.put(REPO, "config.json", CONFIG)
        answer(hub, "config.json", fake_hub.redirect(target))
        replace(client, token="secret").config(REPO)
        assert hub.tokens() == ["Bearer secret"]
        assert other.tokens() == [None]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://169.254.169.254/", "//evil.example/x", ""])
def test_redirects_out_of_the_web(hub: FakeHub, client: HubClient, target: str) -> None:
    answer(hub, "config.json", fake_hub.redirect(target))
    with pytest.raises(HubError) as error:
        client.config(REPO)
    assert code(error) == "hub_redirect"


def test_a_circle_of_redirects_ends(hub: FakeHub, client: HubClient) -> None:
    answer(hub, "config.json", fake_hub.redirect(f"/{REPO}/resolve/main/config.json"))
    with pytest.raises(HubError) as error:
        client.config(REPO)
    assert code(error) == "hub_redirects"
    assert len(hub.seen) == MOST_REDIRECTS + 1 == 4


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xff" * 8,
        (1 << 24).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (2).to_bytes(8, "little") + b"{x",
        safetensors({"w": tensor("BF16", [4, 8], 65)}),
        safetensors({"w": tensor("XX", [4], 4)}),
        safetensors({"w": tensor("U8", [-4], -4)}),
        safetensors({"w": {"dtype": "U8"}}),
        safetensors({"w": 1}),
        safetensors({"w": {"dtype": ["U8"], "shape": [1], "data_offsets": [0, 1]}}),
        safetensors({"w": {"dtype": "U8", "shape": [1.0], "data_offsets": [0, 1]}}),
    ],
)
def test_a_broken_header(hub: FakeHub, client: HubClient, header: bytes) -> None:
    hub.put(REPO, "model.safetensors", header)
    with pytest.raises(HubError):
        client.model(REPO)


def test_a_huge_header_is_not_asked_for(hub: FakeHub, client: HubClient) -> None:
    hub.put(REPO, "model.safetensors", (1 << 40).to_bytes(8, "little") + b"{}")
    with pytest.raises(HubError) as error:
        client.model(REPO)
    assert code(error) == "hub_too_large"
    assert len(hub.seen) == 2  # config, and the beginning of the file


@pytest.mark.parametrize(
    "index",
    [
        {},
        {"weight_map": ["a"]},
        {"weight_map": {"a": 1}},
        {"weight_map": {"a": "../../other/repo/x.safetensors"}},
        {"weight_map": {"a": "x.safetensors?download=1"}},
        {"weight_map": {"a": "x.bin"}},
        {"weight_map": {str(i): f"{i}.safetensors" for i in range(1001)}},
    ],
)
def test_a_broken_index_asks_for_no_file(hub: FakeHub, client: HubClient, index: dict[str, object]) -> None:
    hub.put(REPO, "model.safetensors.index.json", index)
    with pytest.raises(HubError):
        client.model(REPO)
    assert len(hub.seen) == 3  # config, the single file, the index


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_a_config_that_is_no_object(hub: FakeHub, client: HubClient, body: bytes) -> None:
    hub.put(REPO, "config.json", body)
    with pytest.raises(HubError) as error:
        client.config(REPO)
    assert code(error) == "hub_not_json"
