"""The folder that is a node: its key, its store, its blobs, its settings.

secret         the identity, in Scuttlebutt's format; 0600
node.toml      settings; optional
store/         LevelDB
blobs/         files by their hash
control.sock   the running daemon's HTTP interface; 0600
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qbix_node.errors import ConfigError

DIRECTORY_MODE = 0o700
SECRET_MODE = 0o600
OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Home:
    root: Path

    @property
    def secret(self) -> Path:
        return self.root / "secret"

    @property
    def config(self) -> Path:
        return self.root / "node.toml"

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def blobs(self) -> Path:
        return self.root / "blobs"

    @property
    def control_socket(self) -> Path:
        return self.root / "control.sock"

    @property
    def brought_marker(self) -> Path:
        return self.root / "brought"

    def require(self) -> None:
        """Raises ConfigError unless `init` has been here."""
        if not self.secret.exists():
            lost = self.store.exists()
            raise ConfigError(
                f"{self.root}: "
                + ("the store is there, its key is not" if lost else "no node here"),
                hint="restore the file `secret` from your backup"
                if lost
                else f"make one: qbix-node --home {self.root} init",
            )

    def secure(self) -> list[str]:
        """Close to others what must be closed; says what it repaired. Raises ConfigError."""
        repaired = []
        for path, mode in ((self.root, DIRECTORY_MODE), (self.secret, SECRET_MODE)):
            found = path.stat()
            if found.st_uid != os.geteuid():
                raise ConfigError(
                    f"{path} belongs to user {found.st_uid}, this process runs as {os.geteuid()}",
                    hint=f"run as its owner: sudo -u '#{found.st_uid}' qbix-node ...",
                )
            if found.st_mode & OTHERS:
                path.chmod(mode)
                repaired.append(
                    f"{path} was open to others ({stat.S_IMODE(found.st_mode):04o}),"
                    f" now {mode:04o}; if others use this machine, take a new key"
                )
        return repaired


def find_home(option: str | None, environment: Mapping[str, str]) -> Home:
    """--home, else $QBIX_HOME, else $STATE_DIRECTORY, else the usual place of a user's data.

    Raises ConfigError.
    """
    chosen = (
        option
        or environment.get("QBIX_HOME")
        or environment.get("STATE_DIRECTORY", "").split(":")[0]  # systemd's; it may name several
        or "~/.local/share/qbix-node"
    )
    try:
        return Home(Path(chosen).expanduser().absolute())
    except RuntimeError as error:  # of expanduser
        raise ConfigError(
            f"{chosen}: no such user, or one without a home directory",
            hint="name the node's folder in full: --home DIR",
        ) from error
