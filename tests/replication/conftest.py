"""A node that follows bob, in a network of its own."""

import pytest

from tests.replication.network import Network, Node
from tests.replication.sites import Site


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def node(network: Network) -> Node:
    """Follows bob."""
    node = network.node("node")
    node.follow("bob")
    network.settle(1)
    return node


@pytest.fixture
async def alice() -> Site:
    return Site("alice")


@pytest.fixture
async def bob() -> Site:
    return Site("bob")
