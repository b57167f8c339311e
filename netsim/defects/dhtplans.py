"""Short runs of small networks of the hash table, each the ground for some defects."""

from netsim.dhtplan import DhtPlan, Goals
from netsim.plan import NodePlan, Plan

_ALWAYS = Goals(exact=1.0)
_EXACT = Goals(exact=0.95)


def network(
    name: str, seed: int, dht: DhtPlan, *, nodes: int = 100, duration_s: float = 30.0, **roles: int
) -> Plan:
    """`roles`: how many have one; those with the lowest numbers."""
    cast = [role for role, count in roles.items() for _ in range(count)]
    plans = [NodePlan(number, role) for number, role in enumerate(cast)]
    plans += [NodePlan(number) for number in range(len(cast), nodes)]
    return Plan(f"defects/{name}", seed, tuple(plans), duration_s, 0.0, dht=dht)


def lookups(seed: int) -> Plan:
    dht = DhtPlan(lookups=30, asked_s=(1.0, 20.0), goals=_ALWAYS)
    return network("lookups", seed, dht, nodes=120)


def newcomers(seed: int) -> Plan:
    """So many that there is no room for them."""
    dht = DhtPlan(churn=0.3, churn_s=(1.0, 30.0), lookups=10, asked_s=(20.0, 40.0), goals=_EXACT)
    return network("newcomers", seed, dht, nodes=130, duration_s=45.0)


def colluders(seed: int) -> Plan:
    """So many that whoever asks three may ask only them."""
    dht = DhtPlan(lookups=80, asked_s=(1.0, 15.0), goals=_ALWAYS)
    return network("colluders", seed, dht, nodes=400, duration_s=20.0, dht_colluder=180)


def crowd(seed: int) -> Plan:
    dht = DhtPlan(lookups=20, asked_s=(20.0, 50.0), goals=_EXACT)
    return network("crowd", seed, dht, nodes=100, duration_s=60.0, dht_crowd=40)


def inventors(seed: int) -> Plan:
    dht = DhtPlan(lookups=20, asked_s=(1.0, 20.0), goals=_EXACT)
    return network("inventors", seed, dht, nodes=80, dht_inventor=8)


def forgers(seed: int) -> Plan:
    """And two editions of each record, of which the later one is the one to find."""
    dht = DhtPlan(publishers=10, gets=40, asked_s=(60.0, 90.0), goals=Goals(found=0.95))
    return network("forgers", seed, dht, nodes=80, duration_s=100.0, dht_forger=8)


def flood(seed: int) -> Plan:
    dht = DhtPlan(
        publishers=4,
        gets=20,
        asked_s=(150.0, 190.0),
        records_max=12,
        records_per_key_max=6,
        goals=Goals(found=0.5),
    )
    return network("flood", seed, dht, nodes=60, duration_s=200.0, dht_flooder=12)
