"""Authenticated encryption with one key: NaCl's secretbox (XSalsa20-Poly1305), and crypto_auth."""

import hashlib
import hmac

from nacl import bindings as sodium
from nacl.exceptions import CryptoError

KEY_BYTES = 32
NONCE_BYTES = 24
MAC_BYTES = 16


def seal(plain: bytes, nonce: bytes, key: bytes) -> bytes:
    """MAC (16 bytes) followed by the ciphertext."""
    return sodium.crypto_secretbox(plain, nonce, key)


def unseal(box: bytes, nonce: bytes, key: bytes) -> bytes | None:
    """The plaintext, or None when the box was not made with this key and nonce."""
    try:
        return sodium.crypto_secretbox_open(box, nonce, key)
    except CryptoError:
        return None


def auth(body: bytes, key: bytes) -> bytes:
    """HMAC-SHA-512-256: what libsodium calls crypto_auth."""
    return hmac.digest(key, body, "sha512")[:32]


def auth_matches(tag: bytes, body: bytes, key: bytes) -> bool:
    """Constant time."""
    return hmac.compare_digest(tag, auth(body, key))


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(parts[0] if len(parts) == 1 else b"".join(parts)).digest()
