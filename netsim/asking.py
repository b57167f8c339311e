"""What a person's operation means in the words of the product, the same in both drivers."""

from dataclasses import fields, replace
from typing import TypeVar

from netsim.plan import Operation, Plan, blob_bytes
from qbix_node.blobs.limits import Limits as BlobLimits
from qbix_node.crypto.boxes import sha256
from qbix_node.net.limits import Limits
from qbix_node.wire.references import BlobId
from qbix_node.wire.v8json import JsonValue

T = TypeVar("T", Limits, BlobLimits)

TEXT_CHARS_MAX = 7000  # of a message, which has at most 8192 characters in all


def content_of(publish: Operation) -> JsonValue:
    text = f"{publish.number} of node {publish.node} ".ljust(min(publish.size, TEXT_CHARS_MAX), ".")
    return {"type": "post", "text": text}


def blob_content(operation: Operation) -> bytes:
    """What is added, wanted or removed: a blob of `target`, or of the node itself."""
    owner = operation.node if operation.target is None else operation.target
    return blob_bytes(owner, operation.number, operation.size)


def blob_of(operation: Operation) -> BlobId:
    return BlobId(sha256(blob_content(operation)))


def limits_of(plan: Plan) -> tuple[Limits, BlobLimits]:
    """Of connections and of blobs, with what the plan sets. Raises KeyError for another name."""
    connections, blobs = Limits(), BlobLimits()
    for name, value in plan.settings.items():
        if name in {each.name for each in fields(Limits)}:
            connections = _set(connections, name, value)
        elif name in {each.name for each in fields(BlobLimits)}:
            blobs = _set(blobs, name, value)
        else:
            raise KeyError(name)
    return connections, blobs


def _set(limits: T, name: str, value: float) -> T:
    whole = isinstance(getattr(limits, name), int)
    number = int(value) if whole else float(value)
    return replace(limits, **{name: number})  # type: ignore[arg-type]  # of the field's type
