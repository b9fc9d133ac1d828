"""How listening sockets close: whoever was let in is taken first, and whoever comes later is refused."""

import socket
import sys
import threading
from collections.abc import Iterator
from unittest.mock import Mock

import pytest

from app import stopping
from app.stopping import close_gently, stop_gently
from tests.servers import PATIENCE, wait_until


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that runs tests may be slow."""
    monkeypatch.setattr(stopping, "_PATIENCE", PATIENCE)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def test_what_waits_is_taken_before_the_socket_closes(listener: socket.socket) -> None:
    clients = [socket.create_connection(listener.getsockname()) for _ in range(5)]
    closing = threading.Thread(target=close_gently, args=([listener],))
    closing.start()
    for client in clients:
        taken, _ = listener.accept()
        taken.sendall(b"answered")
        taken.close()
        assert client.recv(8) == b"answered"
        client.close()
    closing.join(PATIENCE)
    assert not closing.is_alive()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a socket only stops when it is closed")
def test_afterwards_connections_are_refused_at_once(listener: socket.socket) -> None:
    close_gently([listener])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(listener.getsockname(), timeout=PATIENCE)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's filter is Linux's")
def test_nobody_new_gets_in_while_it_closes(listener: socket.socket) -> None:
    """A connection that nobody takes keeps it waiting; who knocks meanwhile is refused in the end."""
    first = socket.create_connection(listener.getsockname())
    closing = threading.Thread(target=close_gently, args=([listener],))
    late = socket.socket()
    late.setblocking(False)
    closing.start()
    closing.join(0.3)  # the filter stands; the first connection still waits
    late.connect_ex(listener.getsockname())
    listener.accept()[0].close()
    closing.join(PATIENCE)
    listener.setblocking(False)
    with pytest.raises(OSError, match="Invalid argument"):
        listener.accept()
    wait_until(lambda: late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0, "it is refused")
    first.close()
    late.close()


@pytest.mark.parametrize(
    ("graceful", "owners", "closes"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"reexec_pid": 7}, False),  # a new master has the sockets too
        (True, {"master_pid": 7}, False),
        (True, {"systemd": True}, False),
    ],
)
def test_only_sockets_of_our_own_are_closed_and_only_in_peace(
    listener: socket.socket, graceful: bool, owners: dict[str, object], closes: bool
) -> None:
    server = Mock(reexec_pid=0, master_pid=0, systemd=False, LISTENERS=[Mock(sock=listener)])
    server.configure_mock(**owners)
    stop = server.stop
    stop_gently(server)
    server.stop(graceful)
    stop.assert_called_once_with(graceful)
    with socket.socket() as client:
        assert (client.connect_ex(listener.getsockname()) != 0) is closes
