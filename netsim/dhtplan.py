"""What a run of the hash table is about (Plan.dht): who leaves and comes, who looks for what.

Nodes of such a run are machines of qbix_node.dht and nothing else. What a seed leaves open is drawn
while it runs (netsim.dht).
"""

from dataclasses import dataclass

ROLES = (
    "dht_colluder",  # tells only of other colluders; has keys near the targets that are known
    "dht_flooder",  # puts records of its own wherever it may, as many as it may
    "dht_forger",  # answers with records that are forged, over, or older ones
    "dht_inventor",  # tells of nodes that there are not
    "dht_selective",  # answers half of those who ask, always the same ones
    "dht_silent",  # asks, and answers nobody
    "dht_spoofer",  # asks under the addresses of others
    "dht_crowd",  # many on two networks of addresses, who make themselves known to everybody
)


@dataclass(frozen=True, slots=True)
class Goals:
    """None: nobody judges it. Shares are judged over a whole sweep, all else in each run."""

    exact: float | None = None  # least share of lookups that found the 16 nearest
    found: float | None = None  # least share of reads that found the newest record
    calls: float | None = None  # the most that a lookup may take in the mean
    memory_kib: float | None = None  # the most that a node may take in the mean


@dataclass(frozen=True, slots=True)
class DhtPlan:
    warm: bool = True  # tables are as after a long time; else all that a node knows is node 0
    churn: float = 0.0  # so many of the others come newly, and as many leave
    churn_s: tuple[float, float] = (0.0, 0.0)  # when
    lookups: int = 0
    gets: int = 0
    asked_s: tuple[float, float] = (0.0, 0.0)  # when lookups and gets begin
    publishers: int = 0  # honest nodes with a provider record each
    paths: int = 4
    known_targets: int = 0  # to colluders, before they made their keys
    attacked: float = 0.0  # share of lookups that are for those
    ground: int = 0  # keys that colluders make for each of them
    subjects: int = 0  # that publishers share: 0, each has its own
    records_max: int = 8192
    records_per_key_max: int = 32
    goals: Goals = Goals()
