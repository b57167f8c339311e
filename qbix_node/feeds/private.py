"""Contents that only named readers can open (spec/private-messages.md 1)."""

from collections.abc import Callable, Sequence

from qbix_node.crypto.keys import KeyPair
from qbix_node.errors import BadInput, Malformed
from qbix_node.feeds import box1, box2
from qbix_node.feeds.messages import ClassicMessage, Head, Readers
from qbix_node.feeds.validation import content_fault
from qbix_node.wire.references import FeedId, decode_base64, encode_base64, format_feed
from qbix_node.wire.v8json import JsonValue, compact, parse


def seal(
    content: JsonValue,
    readers: Readers,
    writer: KeyPair,
    head: Head | None,
    draw: Callable[[int], bytes],
) -> str:
    """What stands in the message after `head` instead of `content`. Raises BadInput."""
    if not isinstance(content, dict):
        raise BadInput("a private content is a JSON object")
    if fault := content_fault(content):
        raise BadInput(fault)
    # SPEC private-messages 1: the writer is a reader, too; a group's writer is one already.
    own = () if readers.group else (FeedId(writer.public),)
    feeds = list(dict.fromkeys((*readers.feeds, *own)))
    names: list[JsonValue] = [format_feed(feed) for feed in feeds]
    plain = compact({**content, "recps": content.get("recps", names)})
    if readers.kind == "box1":
        if readers.group:
            raise BadInput("a box1 can't be sealed for a group: use box2")
        return encode_base64(box1.seal(plain, feeds, draw)) + box1.SUFFIX
    slots = [box2.group_key(readers.group)] if readers.group else []
    slots += [key for feed in feeds for key in box2.reader_keys(writer, feed)]
    context = box2.Context(FeedId(writer.public), head.id if head else None)
    return encode_base64(box2.seal(plain, context, slots, draw)) + box2.SUFFIX


def unseal(message: ClassicMessage, reader: KeyPair, groups: Sequence[bytes] = ()) -> JsonValue:
    """The content, or None: it is public, or not for this reader. `groups`: keys to try."""
    if not isinstance(message.content, str):
        return None
    encoded, dot, kind = message.content.partition(".")
    box = decode_base64(encoded)
    if box is None:
        return None
    plain = None
    if dot + kind == box1.SUFFIX:
        plain = box1.unseal(box, reader)
    elif dot + kind == box2.SUFFIX:
        slots = [box2.group_key(key) for key in groups]
        own = message.author == reader.public
        slots += [box2.own_key(reader)] if own else box2.direct_keys(reader, message.author)
        plain = box2.unseal(box, box2.Context(message.author, message.previous), slots)
    try:
        return None if plain is None else parse(plain, "private content")
    except Malformed:
        return None
