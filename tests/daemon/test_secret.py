import json
import shutil
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.crypto.keys import KeyPair
from qbix_node.daemon.secret import format_secret, parse_secret, read_secret, write_secret
from qbix_node.errors import ConfigError, Malformed

KEYS = KeyPair.from_seed(bytes(range(32)))
PEERS = Path(__file__).parents[1] / "interop" / "peers"

# As ssb-keys 8 writes it.
# ruff: noqa: E501
SCUTTLEBUTTS_OWN = """# WARNING: Never show this to anyone.
# WARNING: Never edit it or use it on multiple devices at once.
#
# This is your SECRET, it gives you magical powers. With your secret you can
# sign your messages so that your friends can verify that the messages came
# from you. If anyone learns your secret, they can use it to impersonate you.
#
# If you use this secret on more than one device you will create a fork and
# your friends will stop replicating your content.
#
{
  "curve": "ed25519",
  "public": "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=.ed25519",
  "private": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8DoQe/884Qvh1w3RjnS8CZZ+TWMJulDV8d3IZkElUxuA==.ed25519",
  "id": "@A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=.ed25519"
}
#
# The only part of this file that's safe to share is your public name:
#
#   @A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=.ed25519"""


def test_the_secret_of_another_application_is_read() -> None:
    assert parse_secret(SCUTTLEBUTTS_OWN.encode(), "secret") == KEYS


def test_written_and_read_back(tmp_path: Path) -> None:
    write_secret(tmp_path / "secret", KEYS)
    assert read_secret(tmp_path / "secret") == KEYS
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_an_existing_secret_is_never_replaced(tmp_path: Path) -> None:
    write_secret(tmp_path / "secret", KEYS)
    with pytest.raises(FileExistsError):
        write_secret(tmp_path / "secret", KeyPair.from_seed(bytes(32)))
    assert read_secret(tmp_path / "secret") == KEYS


def changed(**members: object) -> bytes:
    text = "".join(line for line in format_secret(KEYS).splitlines() if not line.startswith("#"))
    return json.dumps(json.loads(text) | members).encode()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not the JSON"),
        (b"[]", "not a Scuttlebutt secret"),
        (changed(curve="k256"), "not a Scuttlebutt secret"),
        (changed(private="abc.ed25519"), "not base64 of the right length"),
        (changed(public=None), "not base64 of the right length"),
        (changed(public="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=.ed25519"), "does not belong"),
    ],
)
def test_what_is_no_secret_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        parse_secret(data, "secret")


def test_refusals_do_not_quote_the_secret(tmp_path: Path) -> None:
    data = SCUTTLEBUTTS_OWN.replace('"curve"', "curve")
    (tmp_path / "secret").write_text(data)
    with pytest.raises(ConfigError) as refused:
        read_secret(tmp_path / "secret")
    assert "AAECAwQF" not in f"{refused.value}{refused.value.__cause__}{refused.value.hint}"
    assert "AAECAwQF" not in repr(KEYS)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_secret_or_malformed(data: bytes) -> None:
    with suppress(Malformed):
        parse_secret(data, "secret")


@pytest.mark.skipif(
    not shutil.which("node") or not (PEERS / "node_modules" / "ssb-keys").is_dir(),
    reason="needs node and the JavaScript peers (make peers)",
)
def test_scuttlebutts_own_library_reads_our_file(tmp_path: Path) -> None:
    write_secret(tmp_path / "secret", KEYS)
    script = "console.log(JSON.stringify(require('ssb-keys').loadSync(process.argv[1])))"
    command = ["node", "-e", script, str(tmp_path / "secret")]
    found = json.loads(subprocess.run(command, cwd=PEERS, check=True, capture_output=True).stdout)
    assert found["id"] == "@A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=.ed25519"
    assert found["private"] in SCUTTLEBUTTS_OWN
