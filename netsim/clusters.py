"""Runs the seeds of a job on a Dask cluster that is already there (docs.dask.org).

The one home of `distributed`, which only those need who name a cluster. Its workers need the same
commit of this code; each should have one thread, because a run keeps a core busy.
"""

from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING

from netsim.commit import code_commit
from netsim.job import Job
from netsim.verdict import Result, Verdict
from qbix_node.errors import Temporary, UsageError

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 10


def results(job: Job, seeds: Iterable[int], address: str) -> Generator[Result]:
    """As they come. Raises UsageError, Temporary."""
    try:
        from distributed import Client, as_completed  # noqa: PLC0415  (optional)
    except ImportError as error:
        hint = "pip install distributed; or sweep without a cluster: --jobs, --shard"
        raise UsageError("--dask needs the package distributed", hint=hint) from error
    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        hint = "the address is that of a scheduler, e.g. tcp://10.0.0.1:8786"
        raise Temporary(f"no Dask scheduler answers at {address}", hint=hint) from error
    with client:
        _refuse_other_code(client)
        # pure=False: no answers from what Dask remembers of an earlier sweep.
        ahead = list(seeds)
        futures = client.map(job.attempt, ahead, pure=False)
        seed_of = {future.key: seed for future, seed in zip(futures, ahead, strict=True)}
        for future in as_completed(futures, loop=client.loop):  # type: ignore[no-untyped-call]
            if future.status == "finished":
                result: Result = future.result()
                yield result
            else:
                what = f"the cluster lost it: {future.exception()}"
                yield job.failure(seed_of[future.key], Verdict.SAFETY, what)
            future.release()


def _refuse_other_code(client: "Client") -> None:
    """Asks all workers of this moment; sweep.py looks at each result, because others may join."""
    try:
        commits = client.run(code_commit)
    except ImportError as error:
        hint = "install this code on each worker, the same commit"
        raise Temporary(f"a worker of the cluster lacks this code: {error}", hint=hint) from error
    if not commits:
        raise Temporary("the cluster has no workers", hint="dask worker ADDRESS --nthreads 1")
    for worker, commit in commits.items():
        if commit != code_commit():
            hint = "results of different code prove nothing together: bring it to the same commit"
            raise Temporary(f"{worker} has commit {commit}, not {code_commit()}", hint=hint)
