"""One run with many kinds of fault and of byzantine program: python -m tests.netsim.eventful DRIVER
SEED prints the hashes of its trace and of its last state.
"""

import sys

from netsim.drivers import make_driver
from netsim.plan import Do, Fault, NodePlan, Operation, Plan, PlannedFault
from netsim.running import Outcome, run

COUNT = 8
ROLES = {6: "equivocator", 7: "liar"}

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
)


def plan(seed: int) -> Plan:
    nodes = [
        NodePlan(
            number,
            ROLES.get(number, "honest"),
            knows=tuple(sorted({(number + step) % COUNT for step in (1, 3)})),
            follows=tuple([other for other in range(COUNT) if other != number]),
        )
        for number in range(COUNT)
    ]
    said = [
        Operation(1.0 + 0.3 * number, number % COUNT, Do.PUBLISH, number=number, size=150)
        for number in range(40)
    ]
    blobs = [
        Operation(2.0, 0, Do.ADD_BLOB, number=1, size=50_000),
        Operation(2.5, 5, Do.WANT_BLOB, target=0, number=1, size=50_000),
    ]
    return Plan(
        "eventful", seed, tuple(nodes), 15.0, 90.0, operations=(*said, *blobs), faults=FAULTS
    )


def live(driver: str, seed: int) -> Outcome:
    return run(plan(seed), make_driver(driver))


if __name__ == "__main__":
    outcome = live(sys.argv[1], int(sys.argv[2]))
    print(outcome.trace_sha256, outcome.state_sha256)
