"""Our node beside ssb-db2 and ssb-ebt on the same work, `python -m bench.peers [--json]`, and our
streams beside hypercore, `python -m bench.peers streams`, and our hash table beside the kademlia
package and HyperDHT, `python -m bench.peers dht`.

On demand only: it needs Node.js and the JavaScript peers (make peers), and takes half a minute.
JavaScript gets faster while it works, Python does not: with 10,000 messages, which the goals are
about, a third of what ssb-db2 takes is warming up; with `--messages 50000` both are nearly even.
"""
