#!/usr/bin/env python3
"""Our half of a handshake over stdin and stdout, as the suite shs1-test asks for it.

    shs_adapter.py NETWORK_KEY SERVER_PUBLIC               the client, with keys of its own
    shs_adapter.py NETWORK_KEY SERVER_SECRET SERVER_PUBLIC   the server

Everything is hexadecimal. Ends with 1, and says no more, if the other side misbehaves.
"""

import sys
from collections.abc import Callable

from qbix_node.crypto.entropy import new_keypair, random_bytes
from qbix_node.crypto.keys import SEED_BYTES, KeyPair
from qbix_node.errors import Malformed
from qbix_node.net.handshake import (
    ACCEPT_BYTES,
    HELLO_BYTES,
    PROOF_BYTES,
    ClientHandshake,
    ServerHandshake,
    SessionKeys,
)

Read = Callable[[int], bytes]


def say(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def be_client(read: Read, network_key: bytes, server_public: bytes) -> SessionKeys:
    shake = ClientHandshake(network_key, new_keypair(), server_public, random_bytes(SEED_BYTES))
    say(shake.hello)
    say(shake.receive_hello(read(HELLO_BYTES)))
    return shake.receive_accept(read(ACCEPT_BYTES))


def be_server(read: Read, network_key: bytes, secret: bytes, public: bytes) -> SessionKeys:
    shake = ServerHandshake(network_key, KeyPair(public, secret), random_bytes(SEED_BYTES))
    say(shake.receive_hello(read(HELLO_BYTES)))
    shake.receive_proof(read(PROOF_BYTES))
    accept, keys = shake.accept()
    say(accept)
    return keys


def main() -> int:
    read = sys.stdin.buffer.read
    arguments = [bytes.fromhex(text) for text in sys.argv[1:]]
    try:
        keys = be_client(read, *arguments) if len(arguments) == 2 else be_server(read, *arguments)
    except Malformed as error:
        print(error, file=sys.stderr)
        return 1
    say(keys.seal_key + keys.seal_nonce + keys.open_key + keys.open_nonce)
    return 0


if __name__ == "__main__":
    sys.exit(main())
