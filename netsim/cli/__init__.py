"""The commands of the simulator (docs/netsim.md)."""
