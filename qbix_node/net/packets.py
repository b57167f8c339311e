"""Packets of muxrpc: a header of nine bytes and a body (spec/transport.md 4). Pure.

What request numbers and ends mean is decided in muxrpc.py.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from qbix_node.errors import Malformed
from qbix_node.wire.v8json import JsonValue, compact, parse

HEADER_BYTES = 9
GOODBYE = bytes(HEADER_BYTES)
STREAM = 8  # flags
END = 4
_KIND = 3  # the two lowest bits of the flags

_HEADER = struct.Struct(">BIi")  # flags, bytes of the body, request number


class BodyKind(IntEnum):
    BINARY = 0
    TEXT = 1
    JSON = 2


@dataclass(frozen=True, slots=True)
class Body:
    kind: BodyKind
    data: bytes

    @classmethod
    def of_json(cls, value: JsonValue) -> "Body":
        return cls(BodyKind.JSON, compact(value))

    def json(self, what: str) -> JsonValue:
        """The value; a text packet is a string. Raises Malformed: binary, or not JSON."""
        match self.kind:
            case BodyKind.JSON:
                return parse(self.data, what)
            case BodyKind.TEXT:
                try:
                    return self.data.decode()
                except UnicodeDecodeError as error:
                    raise Malformed(f"{what}: text that is not UTF-8") from error
            case BodyKind.BINARY:
                raise Malformed(f"{what}: a binary packet where JSON is expected")


Packet = tuple[int, int, bytes]  # flags, request number, body: thousands of them in a read


def body_of(flags: int, data: bytes) -> Body:
    return Body(_KINDS[flags & _KIND], data)


_KINDS = tuple(BodyKind)


def encode(flags: int, request: int, body: Body) -> bytes:
    return _HEADER.pack(flags | body.kind, len(body.data), request) + body.data


class PacketParser:
    """Cuts a stream of bytes into packets; holds at most one unfinished packet."""

    __slots__ = ("_body_bytes_max", "_needed", "_rest")

    def __init__(self, body_bytes_max: int) -> None:
        self._body_bytes_max = body_bytes_max
        self._rest = bytearray()
        self._needed = HEADER_BYTES  # bytes before anything can be cut off

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that are complete now. Raises Malformed; the stream is then of no use."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return []  # looked at once it is whole: a long packet in many pieces costs no more
            data = bytes(self._rest)
        packets, end = self._cut(data)
        self._rest = bytearray(memoryview(data)[end:])
        return packets

    def _cut(self, data: bytes) -> tuple[list[Packet], int]:
        packets: list[Packet] = []
        at = 0
        self._needed = HEADER_BYTES
        while len(data) - at >= HEADER_BYTES:
            flags, size, request = _HEADER.unpack_from(data, at)
            if size > self._body_bytes_max:
                raise Malformed(
                    f"packet: a body of {size} bytes, where {self._body_bytes_max} are allowed"
                )
            if flags & _KIND == _KIND:
                raise Malformed("packet: body of kind 3, which does not exist")
            end = at + HEADER_BYTES + size
            if end > len(data):
                self._needed = end - at
                break
            packets.append((flags, request, data[at + HEADER_BYTES : end]))
            at = end
        return packets, at
