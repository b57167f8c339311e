"""How long a fork stays undiscovered."""

from netsim import facts
from netsim.forks import FORKED, Forks
from netsim.loop import Loop
from netsim.plan import NodePlan, Plan
from netsim.site import keys_of
from qbix_node.feeds.authoring import make_message
from qbix_node.feeds.messages import ForkFound
from qbix_node.machines import PeerId
from qbix_node.wire.references import FeedId

LIAR = 2
KEYS = keys_of(LIAR)
BRANCHES = [make_message(KEYS, None, {"type": "post", "text": text}, 0) for text in ("a", "b")]
NODES = (NodePlan(0), NodePlan(1), NodePlan(LIAR, role="equivocator"))


class Watched:
    """What was told when, and what came out."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.forks = Forks(self.loop, Plan("x", 0, NODES, 9.0, 9.0))

    def made(self, at_s: float, name: str = FORKED) -> None:
        self.loop.now = at_s
        self.forks.handle(LIAR, facts.Misdeed(name, PeerId(KEYS.public), 1))

    def found(self, at_s: float, by: int) -> None:
        self.loop.now = at_s
        self.forks.handle(by, ForkFound(FeedId(KEYS.public), 1, *BRANCHES))


def test_it_counts_from_both_branches_being_there_for_each_honest_node() -> None:
    watched = Watched()
    watched.made(2.0)
    watched.found(5.0, by=1)
    watched.found(2.5, by=0)
    assert (watched.forks.made, watched.forks.proven) == (1, 1)
    assert watched.forks.detection_s == (0.5, 3.0)


def test_a_feed_counts_once() -> None:
    watched = Watched()
    watched.made(2.0)
    watched.made(4.0)
    watched.found(5.0, by=1)
    watched.found(6.0, by=1)
    assert (watched.forks.made, watched.forks.detection_s) == (1, (3.0,))


def test_a_fork_that_nobody_made_on_purpose_is_one_without_a_beginning() -> None:
    watched = Watched()
    watched.found(5.0, by=1)
    assert (watched.forks.made, watched.forks.proven) == (1, 1)
    assert watched.forks.detection_s == ()


def test_a_fork_that_only_its_maker_knows_is_not_proven() -> None:
    watched = Watched()
    watched.made(2.0)
    watched.found(3.0, by=LIAR)
    assert (watched.forks.made, watched.forks.proven) == (1, 0)


def test_other_misdeeds_make_no_fork() -> None:
    watched = Watched()
    watched.made(2.0, name="revealed")
    assert (watched.forks.made, watched.forks.proven, watched.forks.detection_s) == (0, 0, ())
