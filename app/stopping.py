"""Stopping without losing a request, for gunicorn on Linux.

gunicorn answers what its workers have taken and closes the listening socket with whatever still waits in it:
the kernel had taken those connections, and resets them. So the socket first takes no new ones, then the
workers take what waits, then it closes: who comes later is refused at once, and goes to another replica.
"""

import ctypes
import errno
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from gunicorn.workers.gthread import ThreadWorker

_ATTACH_FILTER: Final = 26  # SO_ATTACH_FILTER, as the kernel's headers have it
# Classic BPF over a TCP segment: drop those of SYN without ACK, so that nobody new gets in.
_NO_NEW_ONES: Final = (
    (0x30, 0, 0, 13),  # load the byte of flags
    (0x54, 0, 0, 0x12),  # of them, SYN and ACK
    (0x15, 0, 1, 0x02),  # is it SYN alone?
    (0x06, 0, 0, 0),  # then nothing of it
    (0x06, 0, 0, 0xFFFF),  # else all of it
)
_HANDSHAKE: Final = 0.05  # [s] for handshakes that have begun
_PATIENCE: Final = 2.0  # [s] for workers to take what waits


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's, which tells its application when it stops, and takes a closed socket for no failure."""

    def load_wsgi(self) -> None:
        super().load_wsgi()
        if (extensions := getattr(self.wsgi, "extensions", None)) is not None:
            extensions["draining"] = lambda: not self.alive

    def accept(self, listener: Any) -> None:
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno != errno.EINVAL:  # it listens no more
                raise


def stop_gently(server: Any) -> None:
    """Make a gunicorn master close its sockets gently before it stops its workers."""
    stop: Callable[..., None] = server.stop

    def gently(graceful: bool = True) -> None:
        if graceful and not (server.reexec_pid or server.master_pid or server.systemd):  # nobody else's
            close_gently([each.sock for each in server.LISTENERS])
        stop(graceful)

    server.stop = gently


def close_gently(listeners: list[socket.socket]) -> None:
    """Take no new connections, wait until those that wait are taken, and refuse whoever comes."""
    closing = [_take_no_more(each) for each in listeners]  # every one of them, whatever the first says
    if all(closing):
        time.sleep(_HANDSHAKE)
    deadline = time.monotonic() + _PATIENCE
    while any(_waiting(each) for each in listeners) and time.monotonic() < deadline:
        time.sleep(0.005)
    for each in listeners:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _take_no_more(listener: socket.socket) -> bool:
    """Whether the kernel drops new connections to a listening socket from now on."""
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in _NO_NEW_ONES))
    try:
        option = struct.pack("HP", len(_NO_NEW_ONES), ctypes.addressof(program))
        listener.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, option)
    except OSError:
        return False
    return True


def _waiting(listener: socket.socket) -> int:
    """Connections that the kernel has taken and no worker yet; 0 where it does not tell."""
    try:
        info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 28)
    except (AttributeError, OSError):
        return 0
    return int(struct.unpack("8B5I", info)[12])  # tcpi_unacked, which a listening socket's queue stands in
