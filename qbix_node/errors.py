"""The errors that people and peers may see; everything else that escapes is a bug.

`RemoteError`: bytes or behaviour of a peer that we refuse; caught once per connection.
`LocalError`: something a person asked for that can't be done; it ends a command with an exit code
and names the next step. Exit codes follow sysexits(3) (docs/operating.md).
"""

from enum import IntEnum


class ExitCode(IntEnum):
    DONE = 0
    REFUSED = 1
    USAGE = 2
    BAD_INPUT = 65
    NOT_RUNNING = 69
    BUG = 70
    TEMPORARY = 75
    CONFIG = 78  # configuration or damaged store: systemd must not restart


class QbixError(Exception):
    """Base of all errors that carry a sentence for a person."""


class RemoteError(QbixError):
    """A peer sent something that breaks a protocol; the connection is closed or penalised."""


class Malformed(RemoteError):
    """Bytes that are not what their place asks for. Says what, where and what was expected."""


class LocalError(QbixError):
    """A person's request that can't be carried out. `hint` is the next step to take."""

    exit_code = ExitCode.REFUSED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(LocalError):
    exit_code = ExitCode.USAGE


class BadInput(LocalError):
    """A file or an argument that can't be read as what it should be."""

    exit_code = ExitCode.BAD_INPUT


class NotRunning(LocalError):
    exit_code = ExitCode.NOT_RUNNING


class Temporary(LocalError):
    """Try again later: the disk is full, or a limit is reached for the moment."""

    exit_code = ExitCode.TEMPORARY


class ConfigError(LocalError):
    exit_code = ExitCode.CONFIG


class DamagedStore(LocalError):
    exit_code = ExitCode.CONFIG
