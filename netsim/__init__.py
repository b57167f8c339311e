"""The place of the simulator, which is to come: it will drive the machines of qbix_node."""
