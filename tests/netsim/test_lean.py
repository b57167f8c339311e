from netsim.lean import LeanDriver
from netsim.plan import Do, NodePlan, Operation, Plan
from netsim.running import Outcome, run


def friends(count: int = 5, *, seed: int = 1, messages: int = 10) -> Plan:
    """Everybody follows everybody, and has been given the addresses of those before."""
    numbers = range(count)
    nodes = tuple(
        [
            NodePlan(n, knows=tuple(range(n)), follows=tuple([o for o in numbers if o != n]))
            for n in numbers
        ]
    )
    said = [
        Operation(1.0 + number, number % count, Do.PUBLISH, number=number, size=100)
        for number in range(messages)
    ]
    return Plan("friends", seed, nodes, messages + 2.0, settle_s=60.0, operations=tuple(said))


def lean(plan: Plan) -> Outcome:
    return run(plan, LeanDriver())


def test_friends_get_what_each_of_them_publishes() -> None:
    outcome = lean(friends())
    assert outcome.violations == ()
    assert outcome.stalled == ()


def test_a_run_repeats_to_the_byte() -> None:
    assert lean(friends()).trace_sha256 == lean(friends()).trace_sha256


def test_another_seed_is_another_run_with_the_same_end() -> None:
    first, other = lean(friends(seed=1)), lean(friends(seed=2))
    assert first.trace_sha256 != other.trace_sha256
    assert first.state_sha256 == other.state_sha256
