"""Make a node: its folder, key, settings and store. What exists is never replaced.

The store comes last: a home without one is unfinished, and making it again finishes it.
"""

import errno
import os
from pathlib import Path

from qbix_node.crypto.entropy import new_keypair
from qbix_node.crypto.keys import KeyPair
from qbix_node.daemon.config import EXAMPLE, parse_config
from qbix_node.daemon.home import DIRECTORY_MODE, Home
from qbix_node.daemon.secret import load_secret, read_secret, write_secret
from qbix_node.errors import BadInput, ConfigError, LocalError, Malformed, Temporary
from qbix_node.store.leveldb import LevelDbStore
from qbix_node.wire import v8json


def make_home(home: Home, settings: dict[str, str], *, secret: Path | None = None) -> KeyPair:
    """`settings` go into node.toml; `secret` is an identity that is brought along.

    Raises LocalError.
    """
    if home.store.exists():
        home.require()
        raise LocalError(f"{home.root}: there is a node already", hint="run it: qbix-node run")
    text = _settings_text(settings)
    brought = _read_brought(secret) if secret else None
    try:
        home.root.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        keys = _settle_key(home, brought)
        home.secure()
        if settings or not home.config.exists():
            home.config.write_text(text, encoding="utf-8")
        LevelDbStore.create(home.store)  # and makes the names in the home durable
        _sync(home.root.parent)
    except OSError as error:
        kind = Temporary if error.errno in (errno.ENOSPC, errno.EDQUOT) else ConfigError
        raise kind(f"{error.filename or home.root}: {error.strerror}") from error
    return keys


def _settings_text(settings: dict[str, str]) -> str:
    lines = [f"# Settings of this node. {EXAMPLE} documents every key."]
    # A text of JSON is one of TOML.
    lines += [f"{key} = {v8json.compact(value).decode()}" for key, value in settings.items()]
    text = "\n".join(lines) + "\n"
    try:
        parse_config(text.encode(), "init")
    except ConfigError as error:
        raise BadInput(str(error), hint=error.hint) from error
    return text


def _read_brought(path: Path) -> KeyPair:
    try:
        return load_secret(path)
    except Malformed as error:
        raise BadInput(str(error)) from None
    except OSError as error:
        raise BadInput(f"{path}: can't be read: {error.strerror}") from error


def _settle_key(home: Home, brought: KeyPair | None) -> KeyPair:
    if home.secret.exists():  # put there by a person, or left by an init that was cut off
        keys = read_secret(home.secret)
        if brought and brought != keys:
            raise LocalError(f"{home.secret}: another identity is here already")
        home.brought_marker.touch()
        return keys
    if brought:
        home.brought_marker.touch()  # first: without it the identity could publish
    keys = brought or new_keypair()
    write_secret(home.secret, keys)
    return keys


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
