"""Tell what a peer did from what we did wrong, in whatever nursery it was raised."""

from qbix_node.errors import RemoteError


def remote_error(error: Exception) -> RemoteError | None:
    """The RemoteError that this is, or that a group consists of; None if there is anything else."""
    if isinstance(error, RemoteError):
        return error
    if isinstance(error, ExceptionGroup):
        parts = [remote_error(part) for part in error.exceptions]
        return parts[0] if all(parts) else None
    return None
