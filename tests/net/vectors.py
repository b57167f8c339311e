"""The bytes of spec/transport.md: read for the tests, and made by `python -m tests.net.vectors`.

Making them anew must change nothing, unless the protocol changes.
"""

import json
from pathlib import Path
from typing import Any

from qbix_node.crypto.keys import KeyPair
from qbix_node.net import packets
from qbix_node.net.boxstream import BODY_BYTES_MAX, Sealer
from qbix_node.net.handshake import ClientHandshake, ServerHandshake
from qbix_node.net.packets import Body, BodyKind

FOLDER = Path("spec/vectors")
MAIN_NETWORK = "d4a1cb88a66f02f8db635ce26441cc5dac1b08420ceaac230839b755845a9ffb"


def vectors(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return content


def seed(word: str) -> bytes:
    return word.encode().ljust(32, b".")


def handshake(what: str, network_key: bytes, *, salt: str) -> dict[str, str]:
    client, server = (KeyPair.from_seed(seed(word + salt)) for word in ("client", "server"))
    secrets = seed("client ephemeral" + salt), seed("server ephemeral" + salt)
    alice = ClientHandshake(network_key, client, server.public, secrets[0])
    bob = ServerHandshake(network_key, server, secrets[1])
    server_hello = bob.receive_hello(alice.hello)
    client_proof = alice.receive_hello(server_hello)
    bob.receive_proof(client_proof)
    server_accept, bobs = bob.accept()
    alices = alice.receive_accept(server_accept)
    values = {
        "network_key": network_key,
        "client_seed": seed("client" + salt),
        "server_seed": seed("server" + salt),
        "client_ephemeral_secret": secrets[0],
        "server_ephemeral_secret": secrets[1],
        "client_public": client.public,
        "server_public": server.public,
        "client_hello": alice.hello,
        "server_hello": server_hello,
        "client_proof": client_proof,
        "server_accept": server_accept,
        "to_server_key": alices.seal_key,
        "to_server_nonce": alices.seal_nonce,
        "to_client_key": bobs.seal_key,
        "to_client_nonce": bobs.seal_nonce,
    }
    return {"what": what} | {name: value.hex() for name, value in values.items()}


def boxes(what: str, nonce: bytes, *plains: bytes) -> dict[str, Any]:
    """What is sealed one after the other, and the goodbye behind it."""
    sealer = Sealer(seed("box stream key"), nonce)
    return {
        "what": what,
        "key": seed("box stream key").hex(),
        "nonce": nonce.hex(),
        "plain": [plain.hex() for plain in plains],
        "sealed": [sealer.seal(plain).hex() for plain in plains],
        "goodbye": sealer.goodbye().hex(),
    }


def packet(what: str, flags: int, request: int, body: Body) -> dict[str, Any]:
    return {
        "what": what,
        "stream": bool(flags & packets.STREAM),
        "end": bool(flags & packets.END),
        "kind": body.kind.name.lower(),
        "request": request,
        "body": body.data.hex(),
        "packet": packets.encode(flags, request, body).hex(),
    }


def make() -> dict[str, Any]:
    first, last = bytes(23) + b"\x01", b"\xff" * 24
    ping = b'{"name":["gossip","ping"],"args":[],"type":"duplex"}'
    manifest = b'{"name":["manifest"],"args":[]}'
    error = b'{"message":"method:a,b is not in list of allowed methods","name":"Error","stack":""}'
    json_ = BodyKind.JSON
    return {
        "handshake-steps": {
            "handshakes": [
                handshake("main network", bytes.fromhex(MAIN_NETWORK), salt=""),
                handshake("another network and other keys", seed("network"), salt=" 2"),
            ]
        },
        "boxstream-boxes": {
            "streams": [
                boxes("one byte", first, b"a"),
                boxes("two boxes", first, b"header", b"body"),
                boxes("a full box", first, bytes(range(256)) * (BODY_BYTES_MAX // 256)),
                boxes("one byte more than a box", first, b"x" * (BODY_BYTES_MAX + 1)),
                boxes("nonces wrap", last, b"before", b"after"),
                boxes("nothing", first),
            ]
        },
        "muxrpc-packets": {
            "packets": [
                packet("async request", 0, 1, Body(json_, manifest)),
                packet("its answer", 0, -1, Body(json_, b'{"manifest":"sync"}')),
                packet("its refusal", packets.END, -1, Body(json_, error)),
                packet("request for a stream", packets.STREAM, 2, Body(json_, ping)),
                packet("data there", packets.STREAM, 2, Body(json_, b"1700000000000")),
                packet("data back", packets.STREAM, -2, Body(json_, b"1700000000001")),
                packet("text", packets.STREAM, -2, Body(BodyKind.TEXT, "é".encode())),
                packet("binary", packets.STREAM, -2, Body(BodyKind.BINARY, b"\x00\xff")),
                packet("end", packets.STREAM | packets.END, 2, Body(json_, b"true")),
                packet("end back", packets.STREAM | packets.END, -2, Body(json_, b"true")),
                packet("last request number", 0, 2**31 - 1, Body(json_, b"null")),
            ],
            "goodbye": packets.GOODBYE.hex(),
        },
    }


if __name__ == "__main__":
    for name, content in make().items():
        (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
