"""The node's identity as a file, in the format of Scuttlebutt's own `secret` (npm ssb-keys).

People bring the file of another application, or take ours there: comment lines with #, and JSON
with curve, public, private and id. Two programs that use one identity at a time fork its feed.
"""

import os
from pathlib import Path

from qbix_node.crypto.keys import SECRET_BYTES, SEED_BYTES, KeyPair
from qbix_node.errors import ConfigError, Malformed
from qbix_node.wire import v8json
from qbix_node.wire.references import decode_base64, encode_base64, format_feed

FILE_BYTES_MAX = 64 * 1024
SUFFIX = ".ed25519"

_COMMENT_ABOVE = """\
# WARNING: Never show this to anyone.
# WARNING: Never use it on two devices, or in two programs, at once.
#
# This is the SECRET of a node: whoever has it can sign in the node's name. Used in two places at
# once it makes two messages of one sequence, a fork, and peers stop replicating the feed.
#
"""
_COMMENT_BELOW = """
#
# The only part of this file that is safe to share is the public name:
#
#   {id}
"""


def format_secret(keys: KeyPair) -> str:
    public = encode_base64(keys.public) + SUFFIX
    content = v8json.stringify(
        {
            "curve": "ed25519",
            "public": public,
            "private": encode_base64(keys.secret) + SUFFIX,
            "id": format_feed(keys.public),
        }
    )
    return _COMMENT_ABOVE + content + _COMMENT_BELOW.format(id=format_feed(keys.public))


def parse_secret(data: bytes, what: str) -> KeyPair:
    """Raises Malformed, never with a part of the secret in its message."""
    lines = [line for line in data.splitlines() if not line.lstrip().startswith(b"#")]
    try:
        value = v8json.parse(b"\n".join(lines), what)
    except Malformed:
        # `from None`: what the parser says may quote what it read.
        raise Malformed(f"{what}: not the JSON of a Scuttlebutt secret") from None
    if not isinstance(value, dict) or value.get("curve", "ed25519") != "ed25519":
        raise Malformed(f"{what}: not a Scuttlebutt secret of curve ed25519")
    secret = _decode(value.get("private"), SECRET_BYTES)
    public = _decode(value.get("public"), SECRET_BYTES - SEED_BYTES)
    if secret is None or public is None:
        raise Malformed(f"{what}: its private or public key is not base64 of the right length")
    keys = KeyPair.from_seed(secret[:SEED_BYTES])
    if (keys.public, keys.secret) != (public, secret):
        raise Malformed(f"{what}: its public key does not belong to its private key")
    return keys


def _decode(value: object, size: int) -> bytes | None:
    return decode_base64(value.removesuffix(SUFFIX), size) if isinstance(value, str) else None


def write_secret(path: Path, keys: KeyPair) -> None:
    """Durably, readable by its owner only. An existing file is never replaced: FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(format_secret(keys))
        file.flush()
        os.fsync(file.fileno())


def load_secret(path: Path) -> KeyPair:
    """Raises OSError, Malformed."""
    with path.open("rb") as file:
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise Malformed(f"{path}: longer than the {FILE_BYTES_MAX} bytes of a secret")
    return parse_secret(data, str(path))


def read_secret(path: Path) -> KeyPair:
    """Raises ConfigError."""
    try:
        return load_secret(path)
    except OSError as error:
        raise ConfigError(f"{path}: the node's key can't be read: {error.strerror}") from error
    except Malformed as error:
        raise ConfigError(
            str(error), hint="restore the file from your backup; without it this identity is lost"
        ) from error
