"""The qbix-node command: parse, call the daemon, print."""
