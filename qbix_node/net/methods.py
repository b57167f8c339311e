"""What a node serves to its peers: methods by name ("ebt.replicate"), open to every peer."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qbix_node.net.muxrpc import Kind
from qbix_node.net.packets import Body
from qbix_node.wire.v8json import JsonValue

if TYPE_CHECKING:
    from qbix_node.net.link import Link, Stream

Handler = Callable[["Link", list[JsonValue], "Stream | None"], Awaitable["JsonValue | Body"]]


@dataclass(frozen=True, slots=True)
class Method:
    """`handle` runs in a task of its own, which ends with the link.

    "async" and "sync": there is no stream, what it returns is the answer. "source" and "duplex":
    it works on the stream, which ends when it returns; the task of a source is cancelled when the
    peer ends the stream. A RemoteError that it raises is told to the peer.
    """

    kind: Kind
    handle: Handler


Methods = Mapping[str, Method]


def manifest(methods: Methods) -> dict[str, JsonValue]:
    """Names and kinds, nested at the dots, as `manifest` answers them."""
    table: dict[str, JsonValue] = {}
    for name, method in methods.items():
        *groups, last = name.split(".")
        place = table
        for group in groups:
            inner = place.setdefault(group, {})
            assert isinstance(inner, dict), f"{name} is inside a method"
            place = inner
        place[last] = method.kind
    return table
