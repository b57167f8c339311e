import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.crypto import boxes, entropy
from qbix_node.crypto.keys import (
    KeyPair,
    curve_public,
    curve_secret,
    scalarmult,
    scalarmult_base,
    verify,
)

VECTORS = json.loads(Path("tests/crypto/rfc8032.json").read_text())
SMALL_ORDER = [bytes(32), b"\1" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"]


@pytest.fixture
def alice() -> KeyPair:
    return KeyPair.from_seed(b"a" * 32)


@pytest.fixture
def bob() -> KeyPair:
    return KeyPair.from_seed(b"b" * 32)


@pytest.mark.parametrize("vector", VECTORS["ed25519"], ids=lambda vector: vector["name"])
def test_signatures_are_those_of_rfc_8032(vector: dict[str, str]) -> None:
    keys = KeyPair.from_seed(bytes.fromhex(vector["secret"]))
    body, signature = bytes.fromhex(vector["message"]), bytes.fromhex(vector["signature"])
    assert keys.public.hex() == vector["public"]
    assert keys.sign(body) == signature
    assert verify(keys.public, body, signature)


@given(st.binary(max_size=64), st.integers(0, 511))
def test_any_flipped_bit_of_a_signature_is_refused(body: bytes, bit: int) -> None:
    keys = KeyPair.from_seed(b"a" * 32)
    forged = bytearray(keys.sign(body))
    forged[bit // 8] ^= 1 << bit % 8
    assert not verify(keys.public, body, bytes(forged))


@given(st.binary(max_size=70), st.binary(max_size=8), st.binary(max_size=70))
def test_any_bytes_for_key_and_signature_are_an_answer_not_an_error(
    key: bytes, body: bytes, signature: bytes
) -> None:
    assert not verify(key, body, signature)


@pytest.mark.parametrize("key", SMALL_ORDER, ids=["zero", "one", "minus one"])
def test_keys_of_small_order_sign_nothing_and_share_nothing(key: bytes, alice: KeyPair) -> None:
    assert not verify(key, b"", key + bytes(32))
    assert scalarmult(curve_secret(alice.secret), bytes(32)) is None
    assert curve_public(key) is None


def test_two_identities_share_one_secret(alice: KeyPair, bob: KeyPair) -> None:
    alice_curve, bob_curve = curve_public(alice.public), curve_public(bob.public)
    assert alice_curve is not None
    assert bob_curve is not None
    shared = scalarmult(curve_secret(alice.secret), bob_curve)
    assert shared is not None
    assert shared == scalarmult(curve_secret(bob.secret), alice_curve)
    assert alice_curve == scalarmult_base(curve_secret(alice.secret))


def test_secret_key_is_in_no_repr(alice: KeyPair) -> None:
    assert alice.secret.hex() not in repr(alice)
    assert repr(alice.secret) not in repr(alice)


def test_box_opens_only_with_its_key_and_nonce() -> None:
    key, nonce = b"k" * 32, b"n" * 24
    box = boxes.seal(b"hello", nonce, key)
    assert len(box) == len(b"hello") + boxes.MAC_BYTES
    assert boxes.unseal(box, nonce, key) == b"hello"
    assert boxes.unseal(box, b"m" * 24, key) is None
    assert boxes.unseal(box, nonce, b"l" * 32) is None
    assert boxes.unseal(box[:-1], nonce, key) is None
    assert boxes.unseal(b"", nonce, key) is None


def test_auth_is_hmac_sha_512_256_of_rfc_4231() -> None:
    vector = VECTORS["hmac_sha512"]
    tag = boxes.auth(bytes.fromhex(vector["data"]), bytes.fromhex(vector["key"]))
    assert tag.hex() == vector["tag"][:64]
    assert boxes.auth_matches(tag, bytes.fromhex(vector["data"]), bytes.fromhex(vector["key"]))
    assert not boxes.auth_matches(tag, b"other", bytes.fromhex(vector["key"]))


def test_chance_differs_every_time() -> None:
    assert entropy.new_keypair() != entropy.new_keypair()
    assert entropy.random_bytes(16) != entropy.random_bytes(16)
    assert 0 <= entropy.system_rng().random() < 1
    assert len(entropy.system_rng().randbytes(5)) == 5
