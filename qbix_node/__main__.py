"""`python -m qbix_node` is the `qbix-node` command."""

from qbix_node.cli.main import main

main()
