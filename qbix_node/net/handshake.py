"""Secret handshake: two peers prove who they are and agree on keys (spec/transport.md 2).

Four messages of fixed size; who has none of the keys learns nothing, not even who they are. Pure:
bytes in, bytes out, the ephemeral key is passed in. A step that raises Malformed ends the
handshake, and the connection is closed without an answer.
"""

from dataclasses import dataclass, field

from qbix_node.crypto import boxes
from qbix_node.crypto.keys import (
    PUBLIC_BYTES,
    SIGNATURE_BYTES,
    KeyPair,
    curve_public,
    curve_secret,
    scalarmult,
    scalarmult_base,
    verify,
)
from qbix_node.errors import Malformed
from qbix_node.machines import PeerId

TAG_BYTES = 32
HELLO_BYTES = TAG_BYTES + 32
PROOF_BYTES = boxes.MAC_BYTES + SIGNATURE_BYTES + PUBLIC_BYTES
ACCEPT_BYTES = boxes.MAC_BYTES + SIGNATURE_BYTES

# Each of the two boxes has a key that is used once.
_NONCE = bytes(boxes.NONCE_BYTES)


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """Who the other side is, and the keys and first nonces of the two box streams."""

    peer: PeerId
    seal_key: bytes = field(repr=False)
    seal_nonce: bytes = field(repr=False)
    open_key: bytes = field(repr=False)
    open_nonce: bytes = field(repr=False)


class _Ephemeral:
    """The half of a handshake that both roles share: hello messages and the final keys."""

    __slots__ = ("_network_key", "_secret", "hello", "shared", "theirs")

    def __init__(self, network_key: bytes, seed: bytes) -> None:
        self._network_key = network_key
        self._secret = seed
        public = scalarmult_base(seed)
        self.hello = boxes.auth(public, network_key) + public
        self.theirs = b""  # the other side's hello
        self.shared = b""  # of both ephemeral keys

    def receive_hello(self, hello: bytes) -> None:
        tag, public = hello[:TAG_BYTES], hello[TAG_BYTES:]
        if len(hello) != HELLO_BYTES or not boxes.auth_matches(tag, public, self._network_key):
            raise Malformed("handshake: a hello of another network")
        shared = scalarmult(self._secret, public)
        if shared is None:
            raise Malformed("handshake: an ephemeral key of small order")
        self.theirs, self.shared = hello, shared

    def with_their_identity(self, public: bytes) -> bytes:
        """The secret of our ephemeral key and their identity."""
        curve = curve_public(public)
        shared = None if curve is None else scalarmult(self._secret, curve)
        if shared is None:
            raise Malformed("handshake: the identity is no usable Ed25519 key")
        return shared

    def with_our_identity(self, keys: KeyPair) -> bytes:
        """The secret of our identity and their ephemeral key."""
        shared = scalarmult(curve_secret(keys.secret), self.theirs[TAG_BYTES:])
        if shared is None:
            raise Malformed("handshake: an ephemeral key of small order")
        return shared

    def session(self, secret: bytes, ours: bytes, theirs: bytes) -> SessionKeys:
        final = boxes.sha256(secret)
        return SessionKeys(
            PeerId(theirs),
            seal_key=boxes.sha256(final, theirs),
            seal_nonce=self.theirs[: boxes.NONCE_BYTES],
            open_key=boxes.sha256(final, ours),
            open_nonce=self.hello[: boxes.NONCE_BYTES],
        )


class ClientHandshake:
    """The side that dials; it must know whom. Send `hello`, then what each step returns."""

    __slots__ = ("_ephemeral", "_keys", "_network_key", "_proof", "_secrets", "_server")

    def __init__(
        self, network_key: bytes, keys: KeyPair, server_public: bytes, ephemeral_seed: bytes
    ) -> None:
        self._network_key = network_key
        self._keys = keys
        self._server = server_public
        self._ephemeral = _Ephemeral(network_key, ephemeral_seed)
        self._proof = b""
        self._secrets = b""

    @property
    def hello(self) -> bytes:
        return self._ephemeral.hello

    def receive_hello(self, hello: bytes) -> bytes:
        """The proof of who we are, readable by nobody but the server we mean."""
        self._ephemeral.receive_hello(hello)
        shared = self._ephemeral.shared
        self._secrets = self._network_key + shared
        self._secrets += self._ephemeral.with_their_identity(self._server)
        signed = self._network_key + self._server + boxes.sha256(shared)
        self._proof = self._keys.sign(signed) + self._keys.public
        return boxes.seal(self._proof, _NONCE, boxes.sha256(self._secrets))

    def receive_accept(self, accept: bytes) -> SessionKeys:
        assert self._proof, "the server's hello comes first"
        self._secrets += self._ephemeral.with_our_identity(self._keys)
        key = boxes.sha256(self._secrets)
        signature = boxes.unseal(accept, _NONCE, key)
        if signature is None:
            raise Malformed("handshake: an accept that the server we dialled did not make")
        signed = self._network_key + self._proof + boxes.sha256(self._ephemeral.shared)
        if not verify(self._server, signed, signature):
            raise Malformed("handshake: an accept without the server's signature")
        return self._ephemeral.session(key, self._keys.public, self._server)


class ServerHandshake:
    """The side that is dialled. Between `receive_proof` and `accept` it may decide to hang up."""

    __slots__ = ("_client", "_ephemeral", "_keys", "_network_key", "_proof", "_secrets")

    def __init__(self, network_key: bytes, keys: KeyPair, ephemeral_seed: bytes) -> None:
        self._network_key = network_key
        self._keys = keys
        self._ephemeral = _Ephemeral(network_key, ephemeral_seed)
        self._client = b""
        self._proof = b""
        self._secrets = b""

    def receive_hello(self, hello: bytes) -> bytes:
        """Our hello."""
        self._ephemeral.receive_hello(hello)
        return self._ephemeral.hello

    def receive_proof(self, proof: bytes) -> PeerId:
        """Who the client is."""
        shared = self._ephemeral.shared
        assert shared, "the client's hello comes first"
        self._secrets = self._network_key + shared + self._ephemeral.with_our_identity(self._keys)
        plain = boxes.unseal(proof, _NONCE, boxes.sha256(self._secrets))
        if plain is None or len(plain) != PROOF_BYTES - boxes.MAC_BYTES:
            raise Malformed("handshake: a proof that is not for this server")
        signature, client = plain[:SIGNATURE_BYTES], plain[SIGNATURE_BYTES:]
        signed = self._network_key + self._keys.public + boxes.sha256(shared)
        if not verify(client, signed, signature):
            raise Malformed("handshake: a proof without the client's signature")
        self._secrets += self._ephemeral.with_their_identity(client)
        self._client, self._proof = client, plain
        return PeerId(client)

    def accept(self) -> tuple[bytes, SessionKeys]:
        """The last message, and the keys of the session."""
        assert self._client, "the client's proof comes first"
        key = boxes.sha256(self._secrets)
        signed = self._network_key + self._proof + boxes.sha256(self._ephemeral.shared)
        box = boxes.seal(self._keys.sign(signed), _NONCE, key)
        return box, self._ephemeral.session(key, self._keys.public, self._client)
