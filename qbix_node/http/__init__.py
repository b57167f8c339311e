"""The node's HTTP interface: the control socket, health, metrics and the status page."""
