"""Wrong decisions about streams that several own or write into."""

from netsim.checks.sequencing import IntentsOnce, SignedDurably
from netsim.checks.streams import OwnersAgree
from netsim.defects import sharingplans as plans
from netsim.defects.planting import EVENTUALLY, Defect, planting
from netsim.lean import sequencing
from qbix_node import machines as m
from qbix_node.ports import Put, Rows
from qbix_node.sequencing import cosigning, proposing
from qbix_node.sequencing import messages as q
from qbix_node.sequencing.cosigning import Cosigner
from qbix_node.sequencing.desk import Desk
from qbix_node.sequencing.machine import Sequencer
from qbix_node.sequencing.recalling import Recaller
from qbix_node.sequencing.records import Run, Signed
from qbix_node.sequencing.writing import Writer
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.records import AuthorState
from qbix_node.wire.references import StreamId

_hear = Writer.hear


def _continues_nothing(desk: Desk, stream: StreamId) -> None:
    return None


def _all_is_known(recaller: Recaller, stream: StreamId) -> bool:
    return True


def _put_nowhere(stream: StreamId, signed: Signed) -> Put:
    return Put(b"q/z" + stream, b"")


def _nothing_written(rows: Rows) -> dict[StreamId, AuthorState]:
    return {}


def _nothing_proposed(rows: Rows) -> dict[StreamId, Run]:
    return {}


def _adopt_nothing(sequencer: Sequencer, said: q.Propose, genesis: Genesis) -> None:
    return None


def _sign_nothing(cosigner: Cosigner, judged: object) -> None:
    return None


def _believe(writer: Writer, peer: m.PeerId, said: q.Placed | q.Declined) -> None:
    """The sequencer's word is enough."""
    me = writer._desk.me
    for request in writer._requests.values():
        if isinstance(said, q.Placed) and request.sequencer == peer != me:
            _, place = writer._numbers.get(said.number, (0, 0))
            request.places[place] = said.place
    _hear(writer, peer, said)


SHARING_DEFECTS = (
    Defect(
        "owner signs two orders",
        "an owner neither asks what it has signed nor looks whether what is proposed continues it",
        OwnersAgree.name,
        plans.two_orders,
        planting((Desk, "must_continue", _continues_nothing), (Recaller, "knows", _all_is_known)),
        seeds=(1, 2, 3),
        tailored_only="no sequencer of the swarm shows both orders to one owner",
    ),
    Defect(
        "signature not kept",
        "what an owner signs is not written",
        SignedDurably.name,
        plans.shared,
        planting((cosigning, "put_signed", _put_nowhere), (proposing, "put_signed", _put_nowhere)),
    ),
    Defect(
        "numbers forgotten at a start",
        "an author begins with the numbers that it finds in the log",
        SignedDurably.name,
        plans.shared_and_crashes,
        planting((sequencing, "read_written", _nothing_written)),
    ),
    Defect(
        "proposal forgotten at a start",
        "a sequencer does not know after a crash what it had proposed, whatever owners tell it",
        EVENTUALLY,
        plans.shared_and_crashes,
        planting(
            (sequencing, "read_runs", _nothing_proposed), (Sequencer, "_adopt", _adopt_nothing)
        ),
    ),
    Defect(
        "nothing is signed",
        "an owner judges what is proposed, and then does nothing",
        EVENTUALLY,
        plans.shared,
        planting((Cosigner, "_sign", _sign_nothing)),
    ),
    Defect(
        "word of the sequencer believed",
        "an entry counts as placed before it is in the log here",
        IntentsOnce.name,
        plans.shared,
        planting((Writer, "hear", _believe)),
    ),
)
