"""What a person can set: TOML, read once and strictly into one frozen dataclass.

Every key stands with its meaning in configs/node.example.toml. An unknown key, a wrong type or an
impossible value is a ConfigError that names key, file and, for a misspelling, the nearest key.
"""

import difflib
import ipaddress
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from qbix_node.blobs.limits import Limits as BlobLimits
from qbix_node.dht.records import is_domain
from qbix_node.errors import ConfigError, Malformed
from qbix_node.machines import PeerId
from qbix_node.net.address import Address, is_host, parse_address
from qbix_node.net.limits import Limits
from qbix_node.wire.references import decode_base64, parse_feed

MAIN_NETWORK_KEY = bytes.fromhex("d4a1cb88a66f02f8db635ce26441cc5dac1b08420ceaac230839b755845a9ffb")
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("auto", "console", "json")
FILE_BYTES_MAX = 1 << 20
SECONDS_MAX = 3600
EXAMPLE = "configs/node.example.toml"

T = TypeVar("T", Limits, BlobLimits)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to listen. An empty host means every address of this machine."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_endpoint(text: str) -> Endpoint:
    """HOST:PORT, [IPV6]:PORT or :PORT. Raises Malformed."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise Malformed(
            f"{_shown(text)} is no HOST:PORT: an IPv6 address stands in brackets, [::1]:8008"
        )
    digits = port.isascii() and port.isdigit() and len(port) <= 5
    if not colon or not digits or int(port) >= 2**16:
        raise Malformed(f"{_shown(text)} is no HOST:PORT: the port is a number from 0 to 65535")
    if host and not is_host(host):
        raise Malformed(f"{_shown(text)} is no HOST:PORT: no name or address of a host")
    return Endpoint(host, int(port))


DEFAULT_LISTEN = Endpoint("", 8008)


# ---- readers of one value: the parsed value, or ValueError saying what is expected ----


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text in quotes is expected")  # noqa: TRY004  (caught with the others)
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false is expected")  # noqa: TRY004  (the same)
    return value


def _seconds(value: object) -> int:
    if type(value) is not int or not 1 <= value <= SECONDS_MAX:
        raise ValueError(f"whole seconds are expected, 1 to {SECONDS_MAX}")
    return value


def _one_of(*choices: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in choices:
            raise ValueError(f"one of {', '.join(choices)} is expected")
        return str(value)

    return read


def _host(value: object) -> str:
    host = _text(value)
    if host and not is_host(host):
        raise ValueError("no name or address of a host")
    return host


def _endpoint(value: object) -> Endpoint:
    return parse_endpoint(_text(value))


def _endpoint_or_none(value: object) -> Endpoint | None:
    return None if value == "" else _endpoint(value)


def _loopback(value: object) -> Endpoint | None:
    if value == "":
        return None
    endpoint = _endpoint(value)
    if not endpoint.loopback:
        raise ValueError("the status page is served on loopback only: 127.0.0.1, [::1], localhost")
    return endpoint


def _network_key(value: object) -> bytes:
    key = decode_base64(_text(value), 32)
    if key is None:
        raise ValueError("32 bytes in base64 are expected")
    return key


def _peers(value: object) -> tuple[Address, ...]:
    if not isinstance(value, list):
        raise ValueError("a list of addresses is expected")  # noqa: TRY004  (the same)
    return tuple([parse_address(_text(item)) for item in value])


@dataclass(frozen=True, slots=True)
class DhtConfig:
    enabled: bool = True
    listen: Endpoint | None = None  # UDP; None: where the node listens for peers
    bootstrap: tuple[Address, ...] = ()
    dial_private: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    listen: Endpoint = DEFAULT_LISTEN
    announce: str = ""
    network_key: bytes = MAIN_NETWORK_KEY
    peers: tuple[Address, ...] = ()
    lan_discovery: bool = False
    announce_forks: bool = True
    own_streams_wait: int = 10  # seconds
    status_page: Endpoint | None = None
    log_level: str = "info"
    log_format: str = "auto"
    dht: DhtConfig = field(default_factory=DhtConfig)
    domains: Mapping[str, PeerId] = field(default_factory=dict)  # whose a name is
    limits: Limits = field(default_factory=Limits)
    blobs: BlobLimits = field(default_factory=BlobLimits)


_READERS: Mapping[str, Callable[[object], object]] = {
    "listen": _endpoint,
    "announce": _host,
    "network_key": _network_key,
    "peers": _peers,
    "lan_discovery": _flag,
    "announce_forks": _flag,
    "own_streams_wait": _seconds,
    "status_page": _loopback,
    "log_level": _one_of(*LOG_LEVELS),
    "log_format": _one_of(*LOG_FORMATS),
}
_DHT_READERS: Mapping[str, Callable[[object], object]] = {
    "enabled": _flag,
    "listen": _endpoint_or_none,
    "bootstrap": _peers,
    "dial_private": _flag,
}
_TABLES = ("dht", "domains", "limits", "blobs")


def load_config(path: Path) -> Config:
    """Raises ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(
            f"{path}: can't be read: {error.strerror}",
            hint="name a readable file with --config, or leave --config out",
        ) from error
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(f"{path}: longer than the {FILE_BYTES_MAX} bytes of a settings file")
    return parse_config(data, str(path))


def parse_config(data: bytes, file: str) -> Config:
    """Raises ConfigError; `file` is for its message."""
    try:
        table = tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise ConfigError(f"{file}: not TOML: nested too deeply") from error
    except ValueError as error:  # of tomllib, and of int() for thousands of digits
        raise ConfigError(f"{file}: not TOML: {error}") from error
    return _read_config(table, file)


def _read_config(table: Mapping[str, object], file: str) -> Config:
    plain = {key: value for key, value in table.items() if key not in _TABLES}
    values = _read_values(plain, _READERS, file, [*_READERS, *_TABLES])
    if "dht" in table:
        values["dht"] = _read_dht(table["dht"], f"{file}: dht")
    if "domains" in table:
        values["domains"] = _read_domains(table["domains"], f"{file}: domains")
    if "limits" in table:
        values["limits"] = _read_limits(table["limits"], f"{file}: limits")
    if "blobs" in table:
        values["blobs"] = _read_table(table["blobs"], BlobLimits(), f"{file}: blobs")
    return Config(**values)


def _read_values(
    table: Mapping[str, object],
    readers: Mapping[str, Callable[[object], object]],
    where: str,
    known: Iterable[str],
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in readers:
            raise _unknown(key, known, where)
        try:
            values[key] = readers[key](value)
        except (ValueError, Malformed) as error:
            raise ConfigError(f"{where}: {key} = {_shown(value)}: {error}") from error
    return values


def _read_dht(table: object, where: str) -> DhtConfig:
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: a table is expected, not {_shown(table)}")
    return DhtConfig(**_read_values(table, _DHT_READERS, where, _DHT_READERS))


def _read_domains(table: object, where: str) -> Mapping[str, PeerId]:
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: a table is expected, not {_shown(table)}")
    found = {}
    for name, key in table.items():
        if not is_domain(name):
            hint = 'in quotes, in lower case, without a last dot: "example.org"'
            raise ConfigError(f"{where}: {_shown(name)} is no name of a domain", hint=hint)
        try:
            found[name] = PeerId(parse_feed(_text(key)))
        except (ValueError, Malformed) as error:
            raise ConfigError(f"{where}: {name} = {_shown(key)}: {error}") from error
    return found


def _read_limits(table: object, where: str) -> Limits:
    limits = _read_table(table, Limits(), where)
    if limits.connections_reserved >= limits.connections_max:
        raise ConfigError(
            f"{where}: connections_reserved = {limits.connections_reserved} is not below"
            f" connections_max = {limits.connections_max}:"
            " peers that nobody added could never connect",
            hint="set both; what is not set has its default",
        )
    return limits


def _read_table(table: object, default: T, where: str) -> T:
    """A table of numbers: `default` with what stands in `table`."""
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: a table is expected, not {_shown(table)}")
    known = {item.name: item.type for item in fields(default)}
    for key, value in table.items():
        if key not in known:
            raise _unknown(key, known, where)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        whole = isinstance(value, int) or known[key] is float
        if not (number and whole and 0 < value < 2**53):
            expected = "a number" if known[key] is float else "a whole number"
            raise ConfigError(f"{where}: {key} = {_shown(value)}: {expected} above 0 is expected")
    return replace(default, **table)


def _unknown(key: str, known: Iterable[str], where: str) -> ConfigError:
    (nearest,) = difflib.get_close_matches(key, list(known), n=1, cutoff=0)
    return ConfigError(
        f"{where}: unknown key {key!r}",
        hint=f"the nearest key is {nearest!r}; {EXAMPLE} documents all of them",
    )


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # thousands of digits, or of tables in each other
        return "(too large to show)"
    return text if len(text) <= 60 else text[:57] + "..."
