"""Wrong decisions about messages: which are taken, kept, written and signed."""

from netsim.checks.feeds import AppendOnly, DurableWhenSaid, StampsAscend, ValidMessages
from netsim.checks.forks import EvidenceStands, NoFalseConviction, NothingAfterFork
from netsim.checks.links import Bounded
from netsim.checks.privacy import SealedForItsReaders
from netsim.checks.speech import NothingClaimedEarly, SignaturesCheckedOnce
from netsim.defects import plans
from netsim.defects.planting import EVENTUALLY, Defect, planting
from netsim.lean import replicating
from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.feeds import line as lines
from qbix_node.feeds import machine, private
from qbix_node.feeds.answer import Answer
from qbix_node.feeds.line import Arrival, Line
from qbix_node.feeds.machine import FeedBook
from qbix_node.feeds.messages import ClassicMessage, Head, Publish, Published, Readers
from qbix_node.feeds.records import Evidence, read_heads, read_log, unpack_message
from qbix_node.ports import Put, Rows
from qbix_node.replication.conversations import Conversations
from qbix_node.wire.references import FeedId
from qbix_node.wire.v8json import JsonValue

_checked = FeedBook._checked
_looked = FeedBook._looked
_publish = FeedBook._publish
_save = FeedBook._save
_admit = FeedBook._admit
_seal = private.seal


def _believe(book: FeedBook, feed: FeedId, oks: tuple[bool, ...], answer: Answer) -> None:
    _checked(book, feed, tuple([True for _ in oks]), answer)


def _look_away(book: FeedBook, arrival: Arrival, ours: ClassicMessage, answer: Answer) -> None:
    book._leave([arrival], answer)


def _take_forked(book: FeedBook, feed: FeedId) -> bool:
    return feed in book._accepted


def _want_forked(talks: Conversations[FeedId], feed: FeedId) -> bool:
    return talks.following.replicates(feed)


def _put_nowhere(evidence: Evidence) -> Put:
    return Put(b"f/z" + evidence.ours.author, b"")


def find_no_forks(rows: Rows) -> set[FeedId]:
    return set()


def _convict_at_sight(
    book: FeedBook, arrivals: list[Arrival], records: tuple[bytes | None, ...], answer: Answer
) -> None:
    for arrival in arrivals:
        arrival.valid = True
    _looked(book, arrivals, records, answer)


def _check_anew(
    book: FeedBook, arrivals: list[Arrival], records: tuple[bytes | None, ...], answer: Answer
) -> None:
    for arrival, record in zip(arrivals, records, strict=True):
        message = arrival.message
        stored = unpack_message(message.author, message.sequence, record) if record else None
        if stored and stored.id == message.id and not arrival.valid and book._takes(message.author):
            book._lines[message.author].unchecked.append(arrival)
            book._check(book._lines[message.author], answer)
        else:
            _looked(book, [arrival], (record,), answer)


def _any_chain(head: Head | None, message: ClassicMessage) -> None:
    return None


def heads_of_yesterday(rows: Rows) -> dict[FeedId, Head]:
    heads = {}
    for feed, head in read_heads(rows).items():
        before = read_log(rows, feed, head.sequence - 1, 1) if head.sequence > 1 else []
        if before:
            heads[feed] = Head(before[0].sequence, before[0].id)
    return heads


def _stamp_of_the_clock(book: FeedBook, now_ms: int) -> int:
    return now_ms


def _leave_open(
    content: JsonValue, readers: Readers, writer: KeyPair, head: Head | None, draw: object
) -> JsonValue:
    return content


def _answer_at_once(book: FeedBook, wish: Publish, rng: m.Rng, answer: Answer) -> None:
    _publish(book, wish, rng, answer)
    line = book._lines.get(book.own)
    waiting = [*line.saving, *line.unsaved] if line else []
    for arrival in waiting:
        if arrival.request == wish.request:
            answer.found(Published(wish.request, arrival.message))


def _say_nothing(book: FeedBook, feed: FeedId, answer: Answer) -> None:
    for arrival in book._lines[feed].saving:
        arrival.request = None
    _saved(book, feed, answer)


_saved = FeedBook._saved


def _count_early(book: FeedBook, line: Line, answer: Answer) -> None:
    _save(book, line, answer)
    if line.tip is not None:
        book.heads[line.feed] = line.tip


def _admit_all(book: FeedBook, arrival: Arrival, answer: Answer) -> Line | None:
    waiting, book.waiting = book.waiting, -(10**9)
    try:
        return _admit(book, arrival, answer)
    finally:
        book.waiting += waiting + 10**9


def _hold_all(book: FeedBook, line: Line, answer: Answer) -> None:
    for arrival in line.held.values():
        answer.settle_arrival(arrival)


FEED_DEFECTS = (
    Defect(
        "bad signature accepted",
        "whatever libsodium says, the signature counts as right",
        ValidMessages.name,
        plans.forger,
        planting((FeedBook, "_checked", _believe)),
    ),
    Defect(
        "chain not looked at",
        "a message is appended whatever previous it names",
        ValidMessages.name,
        plans.equivocator,
        planting((lines, "check_next", _any_chain)),
    ),
    Defect(
        "fork comparison skipped",
        "two messages for one place are no evidence",
        EVENTUALLY,
        plans.equivocator,
        planting((FeedBook, "_convict", _look_away)),
    ),
    Defect(
        "append after a fork",
        "a forked feed is asked for and taken like others",
        NothingAfterFork.name,
        plans.equivocator,
        planting((FeedBook, "_takes", _take_forked), (Conversations, "wanted", _want_forked)),
    ),
    Defect(
        "evidence not stored",
        "the two messages are not written",
        EvidenceStands.name,
        plans.equivocator,
        planting((machine, "put_evidence", _put_nowhere)),
    ),
    Defect(
        "forks forgotten at a start",
        "stored evidence is not read",
        EvidenceStands.name,
        plans.equivocator_and_restarts,
        planting((replicating, "read_forked", find_no_forks)),
    ),
    Defect(
        "conviction without a signature",
        "a rival message is evidence before its signature was checked",
        NoFalseConviction.name,
        plans.forger,
        planting((FeedBook, "_looked", _convict_at_sight)),
    ),
    Defect(
        "known messages checked again",
        "a message that is in the log costs a signature",
        SignaturesCheckedOnce.name,
        plans.replayer,
        planting((FeedBook, "_looked", _check_anew)),
    ),
    Defect(
        "published on a stale tip",
        "after a start the newest message of each feed is overlooked",
        AppendOnly.name,
        plans.power_cuts,
        planting((replicating, "read_heads", heads_of_yesterday)),
    ),
    Defect(
        "timestamps follow the clock",
        "two messages of one moment have one timestamp, and a clock may go back",
        StampsAscend.name,
        plans.twins,
        planting((FeedBook, "_next_stamp", _stamp_of_the_clock)),
    ),
    Defect(
        "private content left open",
        "what is to be sealed is published as it is",
        SealedForItsReaders.name,
        plans.writers,
        planting((private, "seal", _leave_open)),
    ),
    Defect(
        "published before the sync",
        "a person is told that a message is out when it was handed to the disk",
        DurableWhenSaid.name,
        plans.writers,
        planting((FeedBook, "_publish", _answer_at_once)),
    ),
    Defect(
        "publish not answered",
        "a person never hears that a message is out",
        EVENTUALLY,
        plans.writers,
        planting((FeedBook, "_saved", _say_nothing)),
    ),
    Defect(
        "announced before the sync",
        "a head counts as soon as it is handed to the disk",
        NothingClaimedEarly.name,
        plans.power_cuts,
        planting((FeedBook, "_save", _count_early)),
    ),
    Defect(
        "waiting without a bound",
        "no limit keeps messages from waiting",
        Bounded.name,
        plans.flooder,
        planting((FeedBook, "_admit", _admit_all), (FeedBook, "_bound_held", _hold_all)),
        ground=planting(
            (machine, "WAITING_MAX", 100),
            (machine, "HELD_MAX", 25),
            (machine, "HELD_PER_FEED_MAX", 10),
        ),
    ),
)
