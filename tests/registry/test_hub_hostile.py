"""The hub client against names and servers that mean harm: nothing inside is reached, nothing outlasts it."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from app.errors import HubError, HubTimeout
from app.registry import connection, transfer
from app.registry.addresses import Addresses
from app.registry.connection import Route
from app.registry.hub import HubClient
from app.registry.transfer import Limits
from app.settings import read_settings

from . import fake_hub
from .fake_hub import TLS, FakeHub, safetensors, tensor

REPO = "me/tiny"
FILE = f"/{REPO}/resolve/main/config.json"
INSIDE = [
    "127.0.0.1", "127.8.9.10", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "0.0.0.0",
    "169.254.169.254", "100.100.100.200", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
    "::127.0.0.1", "not an address",
]  # fmt: skip
NEVER = ["169.254.169.254", "fe80::1", "fd00:ec2::254", "100.100.100.200", "0.0.0.0", "224.0.0.1"]


class Names:
    """A resolver that gives each answer once and the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with fake_hub.running() as running:
        running.put(REPO, "config.json", {"model_type": "llama"})
        yield running


@pytest.fixture
def client(hub: FakeHub) -> HubClient:
    return HubClient(hub.endpoint)


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses to which connections were begun; none of them answers."""
    begun: list[str] = []

    def refuse(address: tuple[str, int], timeout: float) -> socket.socket:
        begun.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(connection.socket, "create_connection", refuse)
    return begun


def code(client: HubClient) -> str:
    with pytest.raises(HubError) as error:
        client.config(REPO)
    for language in ("en", "zh"):
        assert error.value.text(language)  # type: ignore[arg-type]
    return error.value.message.code


def named(names: Names, private: bool = False, endpoint: str = "http://hub.test") -> HubClient:
    settings = read_settings({"HF_ENDPOINT": endpoint}, hub_private=private)
    return HubClient.from_settings(settings, names)


@pytest.mark.parametrize("address", INSIDE)
def test_a_name_that_points_inside_is_not_followed(connected: list[str], address: str) -> None:
    assert code(named(Names([address]))) == "hub_address"
    assert code(named(Names(["93.184.216.34", address]))) == "hub_address"
    assert connected == []


def test_a_name_without_an_address(connected: list[str]) -> None:
    assert code(named(Names([]))) == "hub_address"
    assert connected == []


@pytest.mark.parametrize("address", NEVER)
def test_no_setting_opens_metadata_and_the_like(connected: list[str], address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    assert code(named(Names([address]), private=True)) == "hub_address"
    assert code(named(Names(), private=True, endpoint=f"http://{host}/latest")) == "hub_address"
    assert connected == []


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1"])
def test_other_spellings_of_an_address_are_names(connected: list[str], host: str) -> None:
    names = Names(["127.0.0.1"])
    assert code(named(names, endpoint=f"http://{host}")) == "hub_address"
    assert (names.asked, connected) == ([host], [])


def test_a_name_that_is_pointed_elsewhere_leads_nowhere_else(connected: list[str]) -> None:
    """Resolved once for a connection, which then goes to the address that was checked."""
    names = Names(["93.184.216.34"], ["127.0.0.1"])
    assert code(named(names)) == "hub_unreachable"
    assert (names.asked, connected) == (["hub.test"], ["93.184.216.34"])
    assert code(named(names)) == "hub_address"
    assert connected == ["93.184.216.34"]


def test_every_address_is_tried_in_turn(connected: list[str]) -> None:
    assert code(named(Names(["2606:2800:220:1::1", "93.184.216.34"]))) == "hub_unreachable"
    assert connected == ["2606:2800:220:1::1", "93.184.216.34"]


def test_a_private_mirror_needs_the_setting(hub: FakeHub) -> None:
    endpoint = hub.endpoint.replace("127.0.0.1", "mirror.corp")
    assert code(named(Names(["127.0.0.1"]), endpoint=endpoint)) == "hub_address"
    assert hub.seen == []
    client = named(Names(["127.0.0.1"]), private=True, endpoint=endpoint)
    assert client.config(REPO) == {"model_type": "llama"}
    assert hub.seen[0][1]["Host"] == endpoint.removeprefix("http://")


def test_a_resolver_that_hangs_is_left() -> None:
    stop = threading.Event()

    def hangs(host: str, port: int) -> Sequence[str]:
        stop.wait(60)
        return []

    client = HubClient("http://hub.test", route=Route(Addresses(resolver=hangs)), limits=Limits(connect=0.2))
    with pytest.raises(HubTimeout):
        client.config(REPO)
    stop.set()


def test_a_resolver_that_fails(hub: FakeHub) -> None:
    def fails(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "Name or service not known")

    assert code(HubClient("http://hub.test", route=Route(Addresses(resolver=fails)))) == "hub_unreachable"


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/latest/meta-data/",
        "https://cdn.test@169.254.169.254/",
        "https://169.254.169.254#cdn.test",
        "https://cdn.test.evil.example/",
        "https://evilcdn.test/",
        "http://cdn.test/",
        "https://cdn.test:22/",
        "gopher://cdn.test/",
        "https://user:pass@cdn.test/",
    ],
)
def test_redirects_lead_to_listed_hosts_only(hub: FakeHub, client: HubClient, target: str) -> None:
    hub.answers[FILE] = fake_hub.redirect(target)
    assert code(replace(client, download_hosts=("cdn.test", "*.cdn.test"))) == "hub_redirect"


def test_a_listed_host_that_points_inside_is_not_followed(hub: FakeHub, client: HubClient) -> None:
    hub.answers[FILE] = fake_hub.redirect("https://cdn.test/x")
    names = Names(["169.254.169.254"])
    client = replace(client, download_hosts=("cdn.test",), route=Route(Addresses(resolver=names)))
    assert code(client) == "hub_address"
    assert names.asked == ["cdn.test"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (fake_hub.zipped, "hub_encoded"),
        (fake_hub.endless_chunks, "hub_too_large"),
        (fake_hub.endless_chunk_size, "hub_unreachable"),
        (fake_hub.endless_headers, "hub_unreachable"),
        (fake_hub.no_http, "hub_unreachable"),
        (fake_hub.status(204), "hub_status"),
        (fake_hub.status(304), "hub_status"),
    ],
)
def test_answers_that_are_none(
    hub: FakeHub, client: HubClient, answer: fake_hub.Answer, expected: str
) -> None:
    hub.answers[FILE] = answer
    assert code(client) == expected


@pytest.mark.parametrize("answer", [fake_hub.endless_trailers, fake_hub.endless_continues])
def test_an_answer_that_never_ends_is_cut(hub: FakeHub, client: HubClient, answer: fake_hub.Answer) -> None:
    """No single read is slow and nothing grows: only the deadline ends these."""
    hub.answers[FILE] = answer
    assert code(replace(client, limits=Limits(total=0.5))) == "hub_timeout"


def test_a_length_that_is_none_is_not_believed(hub: FakeHub, client: HubClient) -> None:
    hub.answers[FILE] = fake_hub.negative_length
    assert client.config(REPO) == {}


def test_one_conversation_has_a_bound_on_all_its_bytes(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"s-{number}.safetensors" for number in range(20)]
    hub.put(REPO, "model.safetensors.index.json", {"weight_map": {name: name for name in names}})
    for name in names:
        hub.put(REPO, name, safetensors({name: tensor("U8", [1], 1)}, padding=50_000))
    client = HubClient(hub.endpoint)
    assert len(client.model(REPO).tensors or {}) == 20
    monkeypatch.setattr(transfer, "MOST_IN_ALL", 500_000)
    with pytest.raises(HubError) as error:
        client.model(REPO)
    assert error.value.message.code == "hub_too_large"


@pytest.fixture
def secure() -> Iterator[FakeHub]:
    with fake_hub.running(tls=True) as running:
        running.put(REPO, "config.json", {"model_type": "llama"})
        yield running


def secure_client(hub: FakeHub, name: str = "hub.test", trusted: bool = True) -> HubClient:
    environment = {"HF_ENDPOINT": hub.endpoint.replace("hub.test", name), "LLM_ESTIMATE_HUB_PRIVATE": "true"}
    if trusted:
        environment["SSL_CERT_FILE"] = str(TLS / "hub.pem")
    return HubClient.from_settings(read_settings(environment), Names(["127.0.0.1"]))


def test_the_name_is_asked_for_at_the_checked_address(secure: FakeHub) -> None:
    assert secure_client(secure).config(REPO) == {"model_type": "llama"}
    assert secure.names == ["hub.test"]
    assert secure.seen[0][1]["Host"] == secure.endpoint.removeprefix("https://")


def test_certificates_are_checked_against_the_name(secure: FakeHub) -> None:
    for client in (secure_client(secure, "other.test"), secure_client(secure, trusted=False)):
        assert code(client) == "hub_unreachable"
    assert secure.seen == []


def test_a_proxy_is_asked_only_where_one_is_set(secure: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_hub.running() as proxy:
        for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"):
            monkeypatch.setenv(variable, proxy.endpoint)
        assert secure_client(secure).config(REPO) == {"model_type": "llama"}
        through = replace(secure_client(secure), route=replace(Route(), proxy=proxy.endpoint))
        assert code(through) == "hub_unreachable"  # it knows no CONNECT
    assert proxy.seen == []


def test_a_set_proxy_carries_the_connection(secure: FakeHub) -> None:
    port = int(secure.endpoint.rpartition(":")[2])
    with tunnel_to(port) as (address, asked):
        route = Route(authorities=str(TLS / "hub.pem"), proxy=address)
        assert HubClient(secure.endpoint, route=route).config(REPO) == {"model_type": "llama"}
    assert asked == [f"CONNECT hub.test:{port} HTTP/1.1"]


@contextmanager
def tunnel_to(port: int) -> Iterator[tuple[str, list[str]]]:
    """A proxy that carries one connection to a port of this machine; its address, and what it was asked."""
    asked: list[str] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def carry() -> None:
        client, _ = listening.accept()
        with client, socket.create_connection(("127.0.0.1", port)) as server:
            asked.append(client.recv(4096).decode().splitlines()[0])
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            _pump(client, server)
            back.join(60)

    threading.Thread(target=carry, daemon=True).start()
    with listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)


def test_modelscope_has_addresses_of_its_own() -> None:
    with fake_hub.running() as scope:
        scope.files[f"/models/{REPO}/resolve/master/config.json"] = b'{"model_type": "qwen3"}'
        settings = read_settings(
            {"LLM_ESTIMATE_HUB": "modelscope", "MODELSCOPE_ENDPOINT": scope.endpoint, "HF_TOKEN": "not this"},
            modelscope_token="this",
        )
        model = HubClient.from_settings(settings).model(REPO)
        assert model.config == {"model_type": "qwen3"}
        assert model.entry().source == "modelscope, revision master"
        assert set(scope.tokens()) == {"Bearer this"}
