"""The only source of keys, nonces and unseeded chance."""

import os
import random

from qbix_node.crypto.keys import SEED_BYTES, KeyPair
from qbix_node.ports import Rng


def random_bytes(size: int) -> bytes:
    return os.urandom(size)


def new_keypair() -> KeyPair:
    return KeyPair.from_seed(os.urandom(SEED_BYTES))


def system_rng() -> Rng:
    return random.SystemRandom()
