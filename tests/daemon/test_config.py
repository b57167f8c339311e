import json
import re
import tomllib
from contextlib import suppress
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qbix_node.blobs.limits import Limits as BlobLimits
from qbix_node.daemon.config import (
    Config,
    Endpoint,
    load_config,
    parse_config,
    parse_endpoint,
)
from qbix_node.errors import ConfigError, ExitCode, Malformed
from qbix_node.net.limits import Limits

CONFIGS = Path(__file__).parents[2] / "configs"
KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="


def refused(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_config(text.encode(), "node.toml")
    return caught.value


def test_no_settings_are_the_defaults() -> None:
    assert parse_config(b"", "node.toml") == Config()


def test_the_example_documents_every_key_with_its_default() -> None:
    text = (CONFIGS / "node.example.toml").read_bytes()
    table = tomllib.loads(text.decode())
    assert set(table) == {item.name for item in fields(Config)}
    assert set(table["limits"]) == {item.name for item in fields(Limits)}
    assert set(table["blobs"]) == {item.name for item in fields(BlobLimits)}
    assert parse_config(text, "node.example.toml") == Config()


def test_the_example_says_something_about_every_key() -> None:
    lines = (CONFIGS / "node.example.toml").read_text().splitlines()
    undocumented = [
        line
        for above, line in pairwise(lines)
        if re.match(r"\w+ =", line) and not above.startswith("#")
    ]
    assert undocumented == []


@pytest.mark.parametrize("preset", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.name)
def test_every_preset_loads(preset: Path) -> None:
    assert preset.read_text().startswith("# ")
    load_config(preset)


def test_all_kinds_of_values_are_read() -> None:
    config = parse_config(
        f"""
        listen = "[::1]:9000"
        announce = "node.example.org"
        network_key = "{KEY}"
        peers = ["net:example.org:8008~shs:{KEY}"]
        lan_discovery = true
        announce_forks = false
        own_streams_wait = 30
        status_page = "127.0.0.1:8989"
        log_level = "debug"
        log_format = "json"
        [limits]
        connections_max = 7
        connections_reserved = 6
        handshake_patience_s = 2
        """.encode(),
        "node.toml",
    )
    assert config.listen == Endpoint("::1", 9000)
    assert str(config.peers[0]) == f"net:example.org:8008~shs:{KEY}"
    assert (len(config.network_key), config.lan_discovery) == (32, True)
    assert not config.announce_forks
    assert config.own_streams_wait == 30
    assert config.status_page == Endpoint("127.0.0.1", 8989)
    assert (config.limits.connections_max, config.limits.handshake_patience_s) == (7, 2)
    assert config.limits.packet_bytes_max == Limits().packet_bytes_max


def test_a_misspelt_key_is_told_with_the_nearest_one() -> None:
    error = refused('lisetn = "127.0.0.1:8008"')
    assert "node.toml" in str(error)
    assert "'lisetn'" in str(error)
    assert "'listen'" in error.hint
    assert error.exit_code == ExitCode.CONFIG


def test_a_misspelt_limit_is_told_with_the_nearest_one() -> None:
    error = refused("[limits]\nconection_max = 4")
    assert str(error) == "node.toml: limits: unknown key 'conection_max'"
    assert "'connections_max'" in error.hint


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("listen = ", "not TOML"),
        ("own_streams_wait = 0", "own_streams_wait = 0: whole seconds are expected, 1 to 3600"),
        ("own_streams_wait = 3601", "whole seconds"),
        ("own_streams_wait = 1.5", "whole seconds"),
        ("own_streams_wait = true", "whole seconds"),
        ("listen = 8008", "listen = 8008: a text in quotes"),
        ('listen = "localhost"', "no HOST:PORT"),
        ('listen = "::1:8008"', "stands in brackets"),
        ('listen = "127.0.0.1:70000"', "from 0 to 65535"),
        ('network_key = "abc"', "32 bytes in base64"),
        ('peers = "net:x"', "a list of addresses"),
        ('peers = ["net:x"]', "no address of a peer"),
        ("lan_discovery = 1", "true or false"),
        ('status_page = "0.0.0.0:8989"', "loopback only"),
        ('log_level = "loud"', "one of debug, info, warning, error"),
        ("limits = 3", "a table is expected"),
        ("[limits]\nconnections_max = 0", "above 0"),
        ("[limits]\nconnections_max = 1.5", "a whole number"),
        ("[limits]\nconnections_max = true", "a whole number"),
        ("[limits]\nheartbeat_s = nan", "a number"),
        ("[limits]\nheartbeat_s = inf", "a number"),
    ],
)
def test_what_can_not_be_is_refused_with_its_place(text: str, reason: str) -> None:
    error = refused(text)
    assert reason in str(error)
    assert "node.toml" in str(error)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read: No such file"):
        load_config(tmp_path / "node.toml")


def test_a_file_that_is_no_text() -> None:
    with pytest.raises(ConfigError, match="not UTF-8 at byte 10"):
        parse_config(b'announce="\xff"', "node.toml")


def test_a_file_without_an_end() -> None:
    with pytest.raises(ConfigError, match="/dev/zero: longer than the 1048576 bytes"):
        load_config(Path("/dev/zero"))


@pytest.mark.parametrize("reserved", [64, 65])
def test_what_is_reserved_leaves_strangers_a_connection(reserved: int) -> None:
    told = refused(f"[limits]\nconnections_max = 64\nconnections_reserved = {reserved}")
    assert str(told) == (
        f"node.toml: limits: connections_reserved = {reserved} is not below connections_max = 64:"
        " peers that nobody added could never connect"
    )


@pytest.mark.parametrize("host", ["a..b", "a" * 64, "a." * 127, "a\0b", "a b", "::1%a..b", "[::1]"])
def test_a_host_that_no_resolver_takes_is_refused(host: str) -> None:
    with pytest.raises(Malformed, match="no name or address of a host"):
        parse_endpoint(f"[{host}]:1")
    with pytest.raises(ConfigError, match="no name or address of a host"):
        parse_config(f"announce = {json.dumps(host)}".encode(), "node.toml")


@given(st.binary(max_size=100) | st.text(max_size=100).map(lambda text: text.encode()))
@example(b"listen = " + b"1" * 5000)
@example(b"listen = 0x" + b"f" * 5000)
@example(b"listen = " + b"[" * 5000)
@example(b"listen." + b"a." * 5000 + b"a = 1")
@example(b'listen = ":' + b"1" * 5000 + b'"')
def test_any_bytes_are_settings_or_a_config_error(data: bytes) -> None:
    with suppress(ConfigError):
        parse_config(data, "node.toml")


@given(st.text(max_size=60))
def test_any_text_is_an_endpoint_or_malformed(text: str) -> None:
    with suppress(Malformed):
        endpoint = parse_endpoint(text)
        assert parse_endpoint(str(endpoint)) == endpoint
