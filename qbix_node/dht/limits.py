"""How much a node does for the DHT, and how much strangers can make it keep (spec/dht.md 10)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    bucket_size: int = 20  # Kademlia's k: contacts of a bucket, nodes of an answer and of a record
    parallel: int = 3  # Kademlia's alpha: requests of one path in flight
    paths: int = 4  # of a lookup, without a node in common
    retries: int = 2
    peers_max: int = 2048  # whose keys were agreed on; the one unheard of for longest makes room
    calls_max: int = 1024  # requests of ours in flight; above, a call fails at once
    lookups_max: int = 64  # at a time; further ones wait
    lookups_waiting_max: int = 4096
    lookup_calls_max: int = 256  # of one lookup
    probes_max: int = 64  # strangers that we ask, because they asked us
    senders_max: int = 4096  # whose allowance is counted; the longest silent makes room
    requests_per_s: float = 100.0  # of one sender
    requests_burst: float = 300.0
    strangers_per_s: float = 50.0  # of one network; with each a key is agreed on
    strangers_burst: float = 200.0
    agreements_per_s: float = 1000.0  # with all strangers together; each costs 50 us
    agreements_burst: float = 2000.0
    records_max: int = 8192
    records_per_key_max: int = 32
    own_records_max: int = 4096
