import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.crypto import boxes
from qbix_node.crypto.keys import KeyPair
from qbix_node.errors import Malformed
from qbix_node.net.handshake import (
    ACCEPT_BYTES,
    HELLO_BYTES,
    PROOF_BYTES,
    ClientHandshake,
    ServerHandshake,
)
from tests.net.links import ALICE, BOB, NETWORK_KEY, shake_hands
from tests.net.vectors import vectors

CAROL = KeyPair.from_seed(b"carol".ljust(32, b"."))
# Points of small order on Curve25519 (RFC 7748, section 7 speaks of them) and on Ed25519.
SMALL_CURVE_POINTS = [
    bytes(32),
    b"\x01".ljust(32, b"\0"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
]
SMALL_IDENTITIES = [b"\x01".ljust(32, b"\0"), bytes(32), b"\xec" + b"\xff" * 30 + b"\x7f"]


def client(
    *, network_key: bytes = NETWORK_KEY, server: bytes = BOB.public, seed: bytes = b"e" * 32
) -> ClientHandshake:
    return ClientHandshake(network_key, ALICE, server, seed)


def server(*, network_key: bytes = NETWORK_KEY, seed: bytes = b"f" * 32) -> ServerHandshake:
    return ServerHandshake(network_key, BOB, seed)


def hello_with(public: bytes) -> bytes:
    return boxes.auth(public, NETWORK_KEY) + public


def test_both_sides_know_each_other_and_agree_on_keys() -> None:
    alices, bobs = shake_hands()
    assert (alices.peer, bobs.peer) == (BOB.public, ALICE.public)
    assert (alices.seal_key, alices.seal_nonce) == (bobs.open_key, bobs.open_nonce)
    assert (alices.open_key, alices.open_nonce) == (bobs.seal_key, bobs.seal_nonce)
    assert alices.seal_key != alices.open_key


def test_messages_have_their_fixed_sizes() -> None:
    alice, bob = client(), server()
    hello = bob.receive_hello(alice.hello)
    proof = alice.receive_hello(hello)
    bob.receive_proof(proof)
    accept, _ = bob.accept()
    sizes = [len(message) for message in (alice.hello, hello, proof, accept)]
    assert sizes == [HELLO_BYTES, HELLO_BYTES, PROOF_BYTES, ACCEPT_BYTES] == [64, 64, 112, 80]


def test_another_network_is_refused_by_either_side() -> None:
    other = b"another network".ljust(32, b".")
    with pytest.raises(Malformed, match="another network"):
        server().receive_hello(client(network_key=other).hello)
    bob = server(network_key=other)
    with pytest.raises(Malformed, match="another network"):
        client().receive_hello(bob.receive_hello(client(network_key=other).hello))


def test_bob_refuses_a_proof_that_is_meant_for_carol() -> None:
    alice, bob = client(server=CAROL.public), server()
    proof = alice.receive_hello(bob.receive_hello(alice.hello))
    with pytest.raises(Malformed, match="not for this server"):
        bob.receive_proof(proof)


def test_a_replayed_conversation_is_refused() -> None:
    alice, bob = client(), server()
    proof = alice.receive_hello(bob.receive_hello(alice.hello))
    again = server(seed=b"g" * 32)  # every handshake has a new ephemeral key
    again.receive_hello(alice.hello)
    with pytest.raises(Malformed):
        again.receive_proof(proof)


def test_a_replayed_accept_is_refused() -> None:
    alice, bob = client(), server()
    hello = bob.receive_hello(alice.hello)
    bob.receive_proof(alice.receive_hello(hello))
    accept, _ = bob.accept()
    again = client(seed=b"h" * 32)
    again.receive_hello(hello)
    with pytest.raises(Malformed, match="did not make"):
        again.receive_accept(accept)


def test_who_relays_between_two_conversations_is_found_out() -> None:
    """Mallory answers Alice with her own ephemeral key, and passes on the rest."""
    alice, bob, mallory = client(), server(), server(seed=b"m" * 32)
    bob.receive_hello(alice.hello)
    proof = alice.receive_hello(mallory.receive_hello(alice.hello))
    with pytest.raises(Malformed):
        bob.receive_proof(proof)


@pytest.mark.parametrize("point", SMALL_CURVE_POINTS)
def test_an_ephemeral_key_of_small_order_is_refused(point: bytes) -> None:
    with pytest.raises(Malformed, match="small order"):
        server().receive_hello(hello_with(point))
    with pytest.raises(Malformed, match="small order"):
        client().receive_hello(hello_with(point))


@pytest.mark.parametrize("identity", SMALL_IDENTITIES)
def test_an_identity_of_small_order_is_refused(identity: bytes) -> None:
    alice = client(server=identity)
    with pytest.raises(Malformed, match="no usable"):
        alice.receive_hello(server().receive_hello(alice.hello))


def test_no_repr_shows_a_secret() -> None:
    alice, bob = client(), server()
    bob.receive_proof(alice.receive_hello(bob.receive_hello(alice.hello)))
    accept, bobs = bob.accept()
    shown = repr([alice, bob, bobs, alice.receive_accept(accept), ALICE])
    for secret in (ALICE.secret, b"e" * 32, b"f" * 32, bobs.seal_key, bobs.open_key):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown


@pytest.mark.parametrize("step", ["client hello", "server hello", "proof", "accept"])
@given(bit=st.integers(0, 8 * PROOF_BYTES - 1))
def test_one_flipped_bit_anywhere_is_refused(step: str, bit: int) -> None:
    with pytest.raises(Malformed):
        shake_hands_with_a_flipped_bit(step, bit)


def shake_hands_with_a_flipped_bit(step: str, bit: int) -> None:
    def maybe_flip(name: str, message: bytes) -> bytes:
        at, mask = bit // 8 % len(message), 1 << bit % 8
        flipped = message[:at] + bytes([message[at] ^ mask]) + message[at + 1 :]
        return flipped if name == step else message

    alice, bob = client(), server()
    hello = bob.receive_hello(maybe_flip("client hello", alice.hello))
    proof = alice.receive_hello(maybe_flip("server hello", hello))
    bob.receive_proof(maybe_flip("proof", proof))
    alice.receive_accept(maybe_flip("accept", bob.accept()[0]))


@given(st.binary(max_size=2 * PROOF_BYTES))
def test_junk_is_malformed_at_every_step(junk: bytes) -> None:
    alice, bob = client(), server()
    for receive in (server().receive_hello, client().receive_hello):
        with pytest.raises(Malformed):
            receive(junk)
    alice.receive_hello(bob.receive_hello(alice.hello))
    for refuse in (bob.receive_proof, alice.receive_accept):
        with pytest.raises(Malformed):
            refuse(junk)


@pytest.mark.parametrize(
    "case", vectors("handshake-steps")["handshakes"], ids=lambda case: case["what"]
)
def test_the_vectors_of_the_specification_hold(case: dict[str, str]) -> None:
    data = {name: bytes.fromhex(text) for name, text in case.items() if name != "what"}
    client_keys = KeyPair.from_seed(data["client_seed"])
    server_keys = KeyPair.from_seed(data["server_seed"])
    network_key = data["network_key"]
    alice = ClientHandshake(
        network_key, client_keys, server_keys.public, data["client_ephemeral_secret"]
    )
    bob = ServerHandshake(network_key, server_keys, data["server_ephemeral_secret"])
    assert alice.hello == data["client_hello"]
    assert bob.receive_hello(data["client_hello"]) == data["server_hello"]
    assert alice.receive_hello(data["server_hello"]) == data["client_proof"]
    assert bob.receive_proof(data["client_proof"]) == client_keys.public
    accept, bobs = bob.accept()
    assert accept == data["server_accept"]
    alices = alice.receive_accept(accept)
    assert (alices.seal_key, alices.seal_nonce) == (data["to_server_key"], data["to_server_nonce"])
    assert (bobs.seal_key, bobs.seal_nonce) == (data["to_client_key"], data["to_client_nonce"])
