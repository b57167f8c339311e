"""The contract of every machine: `handle(event, now, rng) -> effects` (spec/machines.md).

A machine decides and never acts: equal state, event, now and rng give equal effects, which are
carried out in order. Effects with a token come back as an event, and what they rested on is
checked again then. `qbix_node.runtime` carries effects out on trio, the simulator in its own loop.
"""

from dataclasses import dataclass
from typing import NewType, Protocol

from qbix_node.ports import Delete, Put, Rng, Rows, Write

__all__ = [
    "Answered",
    "Ask",
    "Connected",
    "Delete",
    "Disconnected",
    "Effect",
    "Emit",
    "Event",
    "Load",
    "Loaded",
    "Machine",
    "PeerId",
    "Persist",
    "Persisted",
    "Put",
    "Question",
    "Received",
    "Requested",
    "Rng",
    "Send",
    "SetTimer",
    "SignatureCheck",
    "TimerFired",
    "Token",
    "Tokens",
    "Verified",
    "Verify",
    "Write",
]

PeerId = NewType("PeerId", bytes)  # Ed25519 public key, 32 bytes
Token = NewType("Token", int)  # names one piece of slow work; unique within one machine


@dataclass(slots=True)
class Tokens:
    """Hands out tokens; machines made of parts share one, so that no two parts use the same."""

    _last: int = 0

    def new(self) -> Token:
        self._last += 1
        return Token(self._last)


@dataclass(frozen=True, slots=True)
class SignatureCheck:
    key: bytes
    body: bytes
    signature: bytes


# ---- effects: decisions that go out ----


@dataclass(frozen=True, slots=True)
class Send:
    """Hand a message to a peer. With `after`, it leaves only once that write is durable."""

    to: PeerId
    message: object
    after: Token | None = None


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Replaces the timer of the same name. A TimerFired that comes late must be harmless."""

    name: str
    at: float


@dataclass(frozen=True, slots=True)
class Verify:
    """Check signatures one by one, in one piece of work; answered by Verified."""

    token: Token
    checks: tuple[SignatureCheck, ...]


@dataclass(frozen=True, slots=True)
class Persist:
    """Make all writes durable, all or none; answered by Persisted. `marked`: even a database that
    is put back must not seem to be the newest without them (spec/storage.md 3).
    """

    token: Token
    writes: tuple[Write, ...]
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """Read keys from the store; answered by Loaded."""

    token: Token
    keys: tuple[bytes, ...]


class Question(Protocol):
    """What has to be made out from the store, where its keys aren't known: a frozen value."""

    def answer(self, rows: Rows) -> object:
        """From what is durable. Short: about a millisecond."""
        ...


@dataclass(frozen=True, slots=True)
class Ask:
    """Have a question answered from the store; answered by Answered."""

    token: Token
    question: Question


@dataclass(frozen=True, slots=True)
class Emit:
    """A finding: a value for whoever runs the machine."""

    finding: object


# ---- events: facts that come in ----


@dataclass(frozen=True, slots=True)
class Connected:
    """A peer is authenticated and can be sent messages. `outgoing`: we dialled."""

    peer: PeerId
    outgoing: bool


@dataclass(frozen=True, slots=True)
class Disconnected:
    peer: PeerId


@dataclass(frozen=True, slots=True)
class Received:
    peer: PeerId
    message: object


@dataclass(frozen=True, slots=True)
class Requested:
    """Something that the node itself, or the person who runs it, asks of the machine."""

    request: object


@dataclass(frozen=True, slots=True)
class Verified:
    token: Token
    oks: tuple[bool, ...]  # in the order of Verify.checks


@dataclass(frozen=True, slots=True)
class Persisted:
    token: Token


@dataclass(frozen=True, slots=True)
class Loaded:
    token: Token
    values: tuple[bytes | None, ...]  # in the order of Load.keys


@dataclass(frozen=True, slots=True)
class Answered:
    token: Token
    answer: object


@dataclass(frozen=True, slots=True)
class TimerFired:
    name: str


Effect = Send | SetTimer | Verify | Persist | Load | Ask | Emit
Event = (
    Connected
    | Disconnected
    | Received
    | Requested
    | Verified
    | Persisted
    | Loaded
    | Answered
    | TimerFired
)


class Machine(Protocol):
    def handle(self, event: Event, now: float, rng: Rng) -> tuple[Effect, ...]: ...
