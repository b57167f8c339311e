"""One run with every kind of fault and of byzantine program: python -m tests.netsim.eventful DRIVER
SEED prints the hashes of its trace and of its last state.
"""

import sys

from netsim.drivers import make_driver
from netsim.plan import Do, Fault, NodePlan, Operation, Plan, PlannedFault
from netsim.roles import ROLES, STREAM_OWNERS
from netsim.running import Outcome, run

HONEST = 8
ROLE_OF = dict(enumerate(ROLES, HONEST))
COUNT = HONEST + len(ROLES)

FAULTS = (
    PlannedFault(3.0, 8.0, Fault.LOSS, amount=0.1),
    PlannedFault(3.5, 3.0, Fault.CRASH, (1,)),
    PlannedFault(4.0, 2.0, Fault.POWER_CUT, (2,)),
    PlannedFault(5.0, 6.0, Fault.PARTITION, (0, 3, 4)),
    PlannedFault(6.0, 3.0, Fault.REORDER, amount=0.2),
    PlannedFault(7.0, 2.0, Fault.RESTART, (5,)),
    PlannedFault(8.0, 0.0, Fault.CUT, (3,)),
    PlannedFault(9.0, 3.0, Fault.SLOW_DISK, (5,), amount=0.5),
    PlannedFault(9.5, 2.0, Fault.FULL_DISK, (0,)),
    PlannedFault(10.0, 3.0, Fault.SKEW, (4,), amount=-100.0),
    PlannedFault(2.0, 4.0, Fault.LATENCY, amount=0.2),
    PlannedFault(2.5, 4.0, Fault.JITTER, amount=0.1),
    PlannedFault(3.0, 5.0, Fault.DUPLICATE, amount=0.1),
    PlannedFault(4.0, 4.0, Fault.BANDWIDTH, (2,), amount=20_000.0),
    PlannedFault(4.5, 3.0, Fault.ONE_WAY, (6,)),
    PlannedFault(5.5, 2.0, Fault.HOLD, (7,)),
    PlannedFault(6.5, 1.5, Fault.TORN_BATCH, (3,)),
    PlannedFault(7.5, 2.0, Fault.LYING_DISK, (6,), amount=1.0),
    PlannedFault(8.5, 2.0, Fault.ROLL_BACK, (7,), amount=2.0),
    PlannedFault(11.0, 1.5, Fault.RESTORE, (1,), amount=4.0),
    PlannedFault(10.5, 3.0, Fault.DRIFT, (0,), amount=0.1),
)


def plan(seed: int) -> Plan:
    nodes = [
        NodePlan(
            number,
            ROLE_OF.get(number, "honest"),
            amount=3.0 if number in ROLE_OF else 0.0,
            knows=tuple(sorted({(number + step) % COUNT for step in (1, 3)})),
            follows=tuple([other for other in range(COUNT) if other != number]),
        )
        for number in range(COUNT)
    ]
    said = [
        Operation(1.0 + 0.3 * number, number % HONEST, Do.PUBLISH, number=number, size=150)
        for number in range(40)
    ]
    deeds = [
        Operation(2.0 + number + role / 40, role, Do.ACT, number=number)
        for number in range(4)
        for role in ROLE_OF
    ]
    blobs = [
        Operation(2.0, 0, Do.ADD_BLOB, number=1, size=50_000),
        Operation(2.5, 5, Do.WANT_BLOB, target=0, number=1, size=50_000),
    ]
    streams = [
        Operation(1.0, 0, Do.CREATE_STREAM),
        Operation(1.2, 1, Do.CREATE_STREAM, target=2),
        *[
            Operation(1.5 + node / 100, node, Do.FOLLOW_STREAM, target=owner)
            for node in range(HONEST)
            for owner in (0, 1, *[n for n, role in ROLE_OF.items() if role in STREAM_OWNERS])
            if node != owner
        ],
        *[
            Operation(2.0 + 0.5 * n, n % 2, Do.APPEND_STREAM, size=80, entries=1 + n % 3)
            for n in range(20)
        ],
        Operation(9.0, 3, Do.UNFOLLOW_STREAM, target=0),
    ]
    return Plan(
        "eventful",
        seed,
        tuple(nodes),
        15.0,
        90.0,
        operations=(*said, *blobs, *streams, *deeds),
        faults=FAULTS,
    )


def live(driver: str, seed: int) -> Outcome:
    return run(plan(seed), make_driver(driver))


if __name__ == "__main__":
    outcome = live(sys.argv[1], int(sys.argv[2]))
    print(outcome.trace_sha256, outcome.state_sha256)
