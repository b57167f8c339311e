"""Decide which blobs are wanted, from whom they are fetched, and who hears of it (spec/blobs.md).

What the node's operator wants is durable and never given up; wants of peers are shared out of
sympathy while one of those peers is connected. One fetch a blob at a time: a peer that is slow,
refuses or vanishes is followed by another one and asked again later, a peer that sends wrong bytes
is not asked for that blob again. Bytes never come here: the service moves them.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from qbix_node import machines as m
from qbix_node.blobs import messages as b
from qbix_node.blobs.fetches import PAUSE_S, Fetch, Fetches
from qbix_node.blobs.limits import Limits
from qbix_node.blobs.quota import MARK, SympathyQuota
from qbix_node.blobs.wanted import OWN, WantedBlob
from qbix_node.wire.references import BlobId, format_feed

WANT = b"b/w"  # + blob id -> nothing: the operator wants this blob
RETRY_STEP_S = 1.0  # postponed attempts are looked at so often at most

Effects = tuple[m.Effect, ...]


@dataclass(slots=True)
class _Peer:
    listening: bool = False
    wants: dict[BlobId, int] = field(default_factory=dict)  # unanswered, with their hop distance
    _shared: dict[BlobId, None] = field(default_factory=dict)  # of these, not its own

    def want(self, blob: BlobId, hops: int) -> None:
        self.wants[blob] = hops = min(hops, self.wants.get(blob, hops))
        if hops > OWN:
            self._shared[blob] = None
        else:
            self._shared.pop(blob, None)

    def answer(self, blob: BlobId) -> None:
        del self.wants[blob]
        self._shared.pop(blob, None)

    def oldest_shared(self) -> BlobId | None:
        """Of what it wants for others."""
        return next(iter(self._shared), None)

    def oldest(self) -> BlobId | None:
        """What it wants for others goes first."""
        return self.oldest_shared() or next(iter(self.wants), None)


class BlobExchange:
    """`held`: the blobs on disk with their sizes. `own`: what the operator wanted before a restart.
    `quota`: what of `held` is here by sympathy only.
    """

    def __init__(
        self,
        limits: Limits,
        held: Mapping[BlobId, int],
        own: Iterable[BlobId],
        quota: SympathyQuota,
    ) -> None:
        self.limits = limits
        self._held = dict(held)
        self._quota = quota
        self._wants = {blob: WantedBlob(OWN) for blob in own}
        self._peers: dict[m.PeerId, _Peer] = {}
        self._fetches = Fetches(limits)
        self._retry_at = math.inf
        self._unsaid: dict[m.Token, b.Wanted | b.Unwanted | b.Arrived] = {}  # until it is durable
        self._tokens = m.Tokens()

    @property
    def held(self) -> Mapping[BlobId, int]:
        return self._held

    @property
    def own_wants(self) -> dict[BlobId, str]:
        """What the operator waits for, and why it isn't here yet."""
        return {blob: want.obstacle for blob, want in self._wants.items() if want.own}

    def by_sympathy(self, blob: BlobId) -> bool:
        return blob in self._quota

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> Effects:
        match event:
            case m.Connected(peer):
                self._forget(peer)
                self._peers[peer] = _Peer()
            case m.Disconnected(peer):
                self._forget(peer)
            case m.Received(peer, message):
                return self._receive(peer, message, now, rng)
            case m.Requested(request):
                return self._do(request, now)
            case m.Persisted(token) if token in self._unsaid:
                return (m.Emit(self._unsaid.pop(token)),)
            case m.TimerFired("retry"):
                return self._retry(now)
            case m.TimerFired():
                return tuple([e for blob in self._fetches.overdue(now) for e in self._cancel(blob)])
            case m.Persisted() | m.Verified() | m.Loaded() | m.Answered():
                pass  # nobody waits for it
        return ()

    def _do(self, request: object, now: float) -> Effects:
        match request:
            case b.WantBlob(blob):
                return self._want(blob, now)
            case b.Unwant(blob):
                return self._unwant(blob)
            case b.Added(blob, size):
                return self._arrive(blob, size, own=True)
            case b.Removed(blob):
                return self._remove(blob)
            case _:
                return ()  # meant for another machine

    def _receive(self, peer: m.PeerId, message: object, now: float, rng: m.Rng) -> Effects:
        match message:
            case b.Want(blob, hops) if peer in self._peers:
                return self._hear_want(peer, blob, hops)
            case b.Have(blob, size) if peer in self._peers:
                return self._hear_have(peer, blob, size, now)
            case b.Listening() if peer in self._peers:
                return self._tell_all(peer)
            case b.Progress(number, blob):
                fetch = self._fetches.progress(number, blob, now)
                return (m.SetTimer(_timer(blob), fetch.deadline),) if fetch else ()
            case b.Got(number, blob, size):
                self._fetches.end(number, blob)
                arrived = self._arrive(blob, size, own=blob not in self._quota)
                return (m.SetTimer(_timer(blob), math.inf), *arrived, *self._fetch_more(now))
            case b.Failed(number, blob) if fetch := self._fetches.end(number, blob):
                return self._fail(fetch, message, now, rng)
            case _:
                return ()  # a note of a peer that has gone, or a fetch that ended before

    # ---- wants of the operator ----

    def _want(self, blob: BlobId, now: float) -> Effects:
        if blob in self._held:
            return self._arrive(blob, self._held[blob], own=True)
        want = self._wants.get(blob)
        if want is None or not want.own:
            if len(self.own_wants) >= self.limits.own_wants_max:
                reason = f"{self.limits.own_wants_max} blobs are wanted already"
                return (m.Emit(b.WantRefused(blob, reason)),)
            want = self._wants.setdefault(blob, WantedBlob(OWN))
            want.hops = OWN
        # SPEC blobs 4: the operator's want is durable before anyone hears of it.
        write = self._write(m.Put(WANT + blob, b""))
        self._unsaid[write.token] = b.Wanted(blob)
        told = self._tell_listeners(b.Want(blob, OWN), after=write.token)
        return (write, *told, *self._fetch(blob, want, now))

    def _unwant(self, blob: BlobId) -> Effects:
        want = self._wants.get(blob)
        if want is None or not want.own:
            return ()
        self._reconsider(blob, want)
        write = self._write(m.Delete(WANT + blob))
        self._unsaid[write.token] = b.Unwanted(blob)
        return (write, *(() if blob in self._wants else self._cancel(blob)))

    # ---- what peers say ----

    def _hear_want(self, peer: m.PeerId, blob: BlobId, hops: int) -> Effects:
        if blob == b.EMPTY:
            return ()  # a size of 0 can't be announced, and nobody needs to ask for it
        listener = self._peers[peer]
        if blob in self._held and listener.listening:
            return (m.Send(peer, b.Have(blob, self._held[blob])),)
        if blob not in listener.wants and len(listener.wants) >= self.limits.peer_wants_max:
            # SPEC blobs 6: what it shares for others, be it a flood, does not crowd out its own.
            given_up = listener.oldest_shared() if hops == OWN else None
            if given_up is None:
                return ()
            self._pass_over(listener, given_up)
        listener.want(blob, hops)
        return () if blob in self._held else self._sympathise(listener, blob, hops + 1)

    def _sympathise(self, listener: _Peer, blob: BlobId, hops: int) -> Effects:
        # SPEC blobs 4: a want travels a few hops at most, so it ends even where links form a ring.
        want = self._wants.get(blob)
        if hops > self.limits.hops_max or (want and want.hops <= hops):
            return ()
        if want is None:
            if len(self._wants) >= self.limits.wants_max and not self._make_room(listener):
                return ()
            want = self._wants[blob] = WantedBlob(hops)
        want.hops = hops
        # Also to whom it came from: who offers a blob around says that it wants it.
        return self._tell_listeners(b.Want(blob, hops))

    def _make_room(self, listener: _Peer) -> bool:
        """SPEC blobs 6: the peer that wants most gives way to one that wants less."""
        busiest = max(self._peers.values(), key=lambda peer: len(peer.wants))
        wanted = busiest.oldest()
        if len(busiest.wants) <= len(listener.wants) or wanted is None:
            return False
        self._pass_over(busiest, wanted)
        return len(self._wants) < self.limits.wants_max

    def _pass_over(self, listener: _Peer, blob: BlobId) -> None:
        listener.answer(blob)
        if (shared := self._wants.get(blob)) and not shared.own:
            self._reconsider(blob, shared)

    def _hear_have(self, peer: m.PeerId, blob: BlobId, size: int, now: float) -> Effects:
        want = self._wants.get(blob)
        if want is None or want.barred(peer):
            return ()
        if size > self.limits.blob_bytes_max:
            want.bar(peer)
            want.obstacle = (
                f"it is too large: {size} bytes, where {self.limits.blob_bytes_max} are allowed"
            )
            return (m.Emit(b.TooLarge(peer, blob, size)),) if want.own else ()
        want.add_source(peer, size)
        return self._fetch(blob, want, now)

    def _tell_all(self, peer: m.PeerId) -> Effects:
        listener = self._peers[peer]
        listener.listening = True
        unsaid = {finding.blob: token for token, finding in self._unsaid.items()}
        wants = [
            m.Send(peer, b.Want(blob, want.hops), after=unsaid.get(blob))
            for blob, want in self._wants.items()
        ]
        answered = [blob for blob in listener.wants if blob in self._held]
        for blob in answered:
            listener.answer(blob)
        return (*wants, *[m.Send(peer, b.Have(blob, self._held[blob])) for blob in answered])

    def _forget(self, peer: m.PeerId) -> None:
        """Its fetches end by themselves: every Get is answered."""
        gone = self._peers.pop(peer, None)
        if gone is None:
            return
        for want in self._wants.values():
            want.drop_source(peer)
        for blob in gone.wants:
            shared = self._wants.get(blob)
            if shared and not shared.own:
                self._reconsider(blob, shared)

    def _reconsider(self, blob: BlobId, want: WantedBlob) -> None:
        """From now on it is wanted for peers only, as near as the nearest, or not at all."""
        hops = [peer.wants[blob] + 1 for peer in self._peers.values() if blob in peer.wants]
        want.hops = min(hops, default=self.limits.hops_max + 1)
        if want.hops > self.limits.hops_max:
            del self._wants[blob]

    # ---- fetching ----

    def _fetch(self, blob: BlobId, want: WantedBlob, now: float) -> Effects:
        """Start to fetch this blob, if a peer has it and there is a place."""
        if blob in self._fetches:
            return ()
        held = self._held.__contains__
        picked = want.pick(
            now,
            self._fetches.load,
            lambda size: want.own or self._quota.room_for(size, held) is not None,
        )
        if picked is None:
            return ()
        peer, size = picked
        if not self._fetches.has_place((peer,), now, own=want.own):
            return ()
        if want.own:
            return self._start(blob, peer, size, now)
        victims = self._quota.room_for(size, held) or []
        for victim in victims:
            del self._held[victim]
            self._quota.forget(victim)
        # SPEC blobs 5: the mark is durable before the first byte comes, so that no crash turns a
        # blob that is here by sympathy into one that is kept for ever.
        mark = self._write(self._quota.take(blob, size))
        started = self._start(blob, peer, size, now, after=mark.token)
        return (*[m.Emit(b.Discard(victim)) for victim in victims], mark, *started)

    def _start(
        self, blob: BlobId, peer: m.PeerId, size: int, now: float, after: m.Token | None = None
    ) -> Effects:
        fetch = self._fetches.start(blob, peer, size, now, own=after is None)
        get = m.Send(peer, b.Get(fetch.number, blob, size), after=after)
        return (get, m.SetTimer(_timer(blob), fetch.deadline))

    def _fetch_more(self, now: float) -> Effects:
        """Fill the free places, the operator's wants first."""
        effects: list[m.Effect] = []
        for own in (True, False):
            if not self._fetches.has_place(self._peers, now, own=own):
                continue
            busy = self._fetches.busy()
            for blob, want in self._wants.items():
                # Most wait, of thousands that a peer may have us want: passing over them is cheap.
                if want.waits_for(busy, now) or want.own != own:
                    continue
                if started := self._fetch(blob, want, now):
                    effects += started
                    busy = self._fetches.busy()
                    if not self._fetches.has_place(self._peers, now, own=own):
                        break
        return tuple(effects)

    def _cancel(self, blob: BlobId) -> Effects:
        fetch = self._fetches.cancel(blob)
        return (m.Send(fetch.peer, b.Cancel(fetch.number)),) if fetch else ()

    def _fail(self, fetch: Fetch, failed: b.Failed, now: float, rng: m.Rng) -> Effects:
        effects: list[m.Effect] = [m.SetTimer(_timer(fetch.blob), math.inf)]
        if fetch.blob in self._quota and fetch.blob not in self._held:
            effects.append(self._write(self._quota.release(fetch.blob)))
        retry_at = math.inf
        if failed.failure == b.Failure.DISK:
            retry_at = self._fetches.paused_until = now + PAUSE_S
        if want := self._wants.get(fetch.blob):
            if failed.failure == b.Failure.WRONG:
                want.bar(fetch.peer)
            elif failed.failure == b.Failure.UNAVAILABLE:
                retry_at = want.postpone(fetch.peer, now, rng)
                self._wants[fetch.blob] = self._wants.pop(fetch.blob)  # others come first now
            reason = "it was too slow" if fetch.cancelled else failed.reason
            want.obstacle = f"{format_feed(fetch.peer)}: {reason}"
            effects.append(m.Emit(b.Unfetched(fetch.peer, fetch.blob, failed.failure, reason)))
        return (*effects, *self._fetch_more(now), *self._retry_by(retry_at, now))

    def _retry(self, now: float) -> Effects:
        self._retry_at = math.inf
        started = self._fetch_more(now)
        attempts = [want.next_attempt(now) for want in self._wants.values()]
        if self._fetches.paused_until > now:
            attempts.append(self._fetches.paused_until)
        return (*started, *self._retry_by(min(attempts, default=math.inf), now))

    def _retry_by(self, at: float, now: float) -> Effects:
        at = max(at, now + RETRY_STEP_S)
        if at >= self._retry_at:
            return ()
        self._retry_at = at
        return (m.SetTimer("retry", at),)

    # ---- what is held ----

    def _arrive(self, blob: BlobId, size: int, *, own: bool) -> Effects:
        """It is here. Said again also when it was here before: somebody asked."""
        want = self._wants.pop(blob, None)
        wanted = want is not None and want.own
        self._held[blob] = size
        writes: list[m.Write] = [m.Delete(WANT + blob)] if wanted else []
        kept = blob in self._quota and (own or wanted)  # from now on for the operator
        if kept:
            writes.append(self._quota.release(blob))
        write = self._write(*writes) if writes else None
        if write and kept:
            # Nobody relies on it before no crash can make it a blob of sympathy again.
            self._unsaid[write.token] = b.Arrived(blob, size)
        wanters = [
            peer
            for peer, listener in self._peers.items()
            if listener.listening and blob in listener.wants
        ]
        for peer in wanters:
            self._peers[peer].answer(blob)
        return (
            *([write] if write else []),
            *([] if kept else [m.Emit(b.Arrived(blob, size))]),
            *[m.Send(peer, b.Have(blob, size)) for peer in wanters],
            *self._cancel(blob),
        )

    def _remove(self, blob: BlobId) -> Effects:
        self._held.pop(blob, None)
        if blob in self._fetches and blob in self._quota:
            return (m.Emit(b.Gone(blob)),)  # it is on its way again: the mark is needed
        if blob in self._quota:
            self._quota.forget(blob)
        return (self._write(m.Delete(MARK + blob)), m.Emit(b.Gone(blob)))

    # ---- small ones ----

    def _tell_listeners(self, note: b.Note, after: m.Token | None = None) -> Effects:
        listeners = [peer for peer, listener in self._peers.items() if listener.listening]
        return tuple([m.Send(peer, note, after=after) for peer in listeners])

    def _write(self, *writes: m.Write) -> m.Persist:
        return m.Persist(self._tokens.new(), writes)


def _timer(blob: BlobId) -> str:
    return f"fetch/{blob.hex()}"
