"""Ed25519 identities: make, sign, verify, and their X25519 form (RFC 8032, RFC 7748, libsodium).

Signatures are checked one at a time by libsodium: batch verification and other libraries can give
other verdicts on malformed keys, and two honest nodes must never disagree.
"""

from dataclasses import dataclass, field

from nacl import bindings as sodium
from nacl.exceptions import CryptoError

SEED_BYTES = 32
PUBLIC_BYTES = 32
SECRET_BYTES = 64
SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True)
class KeyPair:
    public: bytes
    secret: bytes = field(repr=False)  # seed || public, as libsodium and Scuttlebutt keep it

    @classmethod
    def from_seed(cls, seed: bytes) -> "KeyPair":
        public, secret = sodium.crypto_sign_seed_keypair(seed)
        return cls(public, secret)

    def sign(self, body: bytes) -> bytes:
        """The detached 64-byte signature of `body`."""
        return sodium.crypto_sign(body, self.secret)[:SIGNATURE_BYTES]


def verify(public: bytes, body: bytes, signature: bytes) -> bool:
    if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        sodium.crypto_sign_open(signature + body, public)
    except CryptoError:
        return False
    return True


def curve_public(public: bytes) -> bytes | None:
    """The X25519 key of an Ed25519 public key, or None where the point has no usable form."""
    try:
        return sodium.crypto_sign_ed25519_pk_to_curve25519(public)
    except (CryptoError, RuntimeError):
        return None


def curve_secret(secret: bytes) -> bytes:
    return sodium.crypto_sign_ed25519_sk_to_curve25519(secret)


def scalarmult(secret: bytes, public: bytes) -> bytes | None:
    """The X25519 shared secret, or None for a key of small order (all-zero result)."""
    try:
        return sodium.crypto_scalarmult(secret, public)
    except (CryptoError, RuntimeError):
        return None


def scalarmult_base(secret: bytes) -> bytes:
    return sodium.crypto_scalarmult_base(secret)
