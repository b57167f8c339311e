"""What both ends of the control socket ask of its path."""

import os
from pathlib import Path

from qbix_node.errors import ConfigError

BYTES_MAX = 107  # sun_path of unix(7), without its NUL


def check_socket_path(path: Path) -> None:
    """Raises ConfigError."""
    if len(os.fsencode(path)) > BYTES_MAX:
        raise ConfigError(
            f"{path}: longer than the {BYTES_MAX} bytes that a unix socket may have",
            hint="choose a home with a shorter path: --home DIR",
        )
