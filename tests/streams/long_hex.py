"""Bytes in vector files: hex, in which long ones copy what they repeat."""

import re

NOTE = "[3*20] stands for 20 bytes, each a copy of the one 3 bytes before it"

PLAIN_BYTES_MAX = 1024
_LEAST = 16  # bytes that are worth a copy
_PART = re.compile(r"\[(\d+)\*(\d+)\]|([0-9a-f]+)")


def write(data: bytes) -> str:
    if len(data) <= PLAIN_BYTES_MAX:
        return data.hex()
    seen, parts, here = dict[bytes, int](), list[str](), 0
    while here < len(data):
        start = seen.get(data[here : here + _LEAST])
        length = 1 if start is None else _LEAST
        if start is None:
            parts.append(data[here : here + 1].hex())
        else:
            while here + length < len(data) and data[start + length] == data[here + length]:
                length += 1
            parts.append(f"[{here - start}*{length}]")
        for place in range(max(here, here + length - 256), here + length):
            if place + _LEAST <= len(data):
                seen[data[place : place + _LEAST]] = place
        here += length
    return "".join(parts)


def read(text: str) -> bytes:
    data = bytearray()
    for back, length, plain in _PART.findall(text):
        data += bytes.fromhex(plain)
        stop = len(data) + int(length or 0)
        while len(data) < stop:
            data += data[-int(back) :][: stop - len(data)]
    return bytes(data)
