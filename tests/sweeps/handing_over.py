"""What a process of a pool does that is killed in the middle of handing a part over."""

import os
import signal
import struct
import sys
from pathlib import Path

from app.sweeps.tasks import compute_part

MARK = "HALF_HANDED_OVER"  # names the file that says that it has happened


def die_halfway_once(document: bytes, index: int) -> bytes:
    """The part; the first time, only the beginning of an answer is written, with the turn to write taken."""
    mark = Path(os.environ[MARK])
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return compute_part(document, index)
    frame = sys._getframe()
    while "result_queue" not in frame.f_locals and frame.f_back is not None:
        frame = frame.f_back
    queue = frame.f_locals["result_queue"]
    queue._wlock.acquire()
    os.write(queue._writer.fileno(), struct.pack("!i", 1000) + b"half")
    os.kill(os.getpid(), signal.SIGKILL)
    return b""
