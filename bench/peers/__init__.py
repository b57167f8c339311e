"""Our node beside ssb-db2 and ssb-ebt on the same work: `python -m bench.peers [--json]`.

On demand only: it needs Node.js and the JavaScript peers (make peers), and takes about a minute.
"""
