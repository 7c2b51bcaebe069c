"""What parent and child say to each other: a JSON object and bytes, over a stream socket."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

MOST_HEADER_BYTES = 1024 * 1024
MOST_PAYLOAD_BYTES = 1024 * 1024 * 1024
_LENGTHS = struct.Struct(">II")


class Gone(Exception):
    """The other side closed its end, or sent what is no message."""


def send(channel: socket.socket, header: dict[str, Any], payload: bytes = b"") -> None:
    """Send one message. Raises Gone if nobody is there to take it."""
    text = json.dumps(header).encode()
    try:
        channel.sendall(_LENGTHS.pack(len(text), len(payload)) + text)
        channel.sendall(payload)
    except TimeoutError:
        raise
    except OSError as error:
        raise Gone(str(error)) from error


def receive(channel: socket.socket) -> tuple[dict[str, Any], bytes]:
    """Wait for one message. Raises Gone, TimeoutError after the socket's own timeout."""
    text_bytes, payload_bytes = _LENGTHS.unpack(_exactly(channel, _LENGTHS.size))
    if text_bytes > MOST_HEADER_BYTES or payload_bytes > MOST_PAYLOAD_BYTES:
        raise Gone("a message without measure")
    try:
        header = json.loads(_exactly(channel, text_bytes))
    except ValueError as error:
        raise Gone("a message that is no JSON") from error
    if not isinstance(header, dict):
        raise Gone("a message that is no object")
    return header, _exactly(channel, payload_bytes)


def _exactly(channel: socket.socket, count: int) -> bytes:
    found = bytearray()
    while len(found) < count:
        try:
            piece = channel.recv(min(count - len(found), 1024 * 1024))
        except TimeoutError:
            raise
        except OSError as error:
            raise Gone(str(error)) from error
        if not piece:
            raise Gone("closed")
        found += piece
    return bytes(found)
