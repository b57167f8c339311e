"""The demo: real daemons, and a JavaScript peer, replicate on this machine, every step checked."""
