"""The node's figures for /metrics: few names, few label values, never an id."""

import os
import resource
import time

from qbix_node.daemon.node import Node
from qbix_node.http.api import Metric, Status

PAGE_BYTES = resource.getpagesize()


def metrics_of(node: Node, status: Status) -> list[Metric]:
    return [*_node(status), *_peers(status), *_traffic(node), *_process()]


def _node(status: Status) -> list[Metric]:
    return [
        _gauge("uptime_seconds", "Since the start.", status.uptime_s),
        _gauge("healthy", "1: all that is tried works.", int(not status.health)),
        _gauge("store_degraded", "1: nothing can be written.", int(bool(status.store.degraded))),
        _gauge("store_bytes", "The database on disk.", status.store.bytes),
        _gauge("feeds", "Feeds that are stored or followed.", status.feeds),
        _gauge("feeds_followed", "Feeds that are followed.", status.following),
        _gauge("streams", "Streams that are stored or followed.", status.streams),
        _gauge("entries", "Messages and entries of streams that are stored.", status.entries),
        _gauge("forks", "Proofs of forks of feeds and streams.", len(status.forks)),
        *_dht(status),
        _gauge("blobs", "Blobs that are here.", status.blobs.count),
        _gauge("blobs_bytes", "Blobs on disk.", status.blobs.bytes),
        _gauge("blobs_wanted", "Blobs that the operator waits for.", status.blobs.wanted),
    ]


def _dht(status: Status) -> list[Metric]:
    if status.dht is None:
        return []
    return [
        _gauge("dht_contacts", "Nodes that are known in the DHT.", status.dht.contacts),
        _gauge("dht_offered", "Feeds and streams that are offered there.", status.dht.offered),
        _gauge("dht_searches", "What is looked for there.", status.dht.searches),
    ]


def _peers(status: Status) -> list[Metric]:
    def count(state: str, *, outgoing: bool | None) -> int:
        rows = [row for row in status.peers if (row.state, row.outgoing) == (state, outgoing)]
        return len(rows)

    help_ = "Peers, by how they are connected."
    return [
        _gauge("peers", help_, count("connected", outgoing=False), state="incoming"),
        _gauge("peers", help_, count("connected", outgoing=True), state="outgoing"),
        _gauge("peers", help_, count("disconnected", outgoing=None), state="disconnected"),
        _gauge("peers", help_, count("blocked", outgoing=None), state="blocked"),
    ]


def _traffic(node: Node) -> list[Metric]:
    counted, stored = node.replication.counters, node.store.counters
    return [
        _counter("messages_received", "Messages that peers sent.", counted.messages_received),
        _counter("messages_sent", "Messages sent to peers.", counted.messages_sent),
        _counter("messages_appended", "Messages added to feeds.", counted.messages_appended),
        _counter(
            "messages_refused", "Messages that no peer should send.", counted.messages_refused
        ),
        _counter("notes_received", "EBT notes that peers sent.", counted.notes_received),
        _counter("notes_sent", "EBT notes sent to peers.", counted.notes_sent),
        *_segments(node),
        _counter("store_batches", "Synced batches of the store.", stored.batches),
        _counter("store_marks", "Batches whose number was synced beside them.", stored.marks),
        _counter("store_writes", "Writes that were acknowledged.", stored.writes),
    ]


def _segments(node: Node) -> list[Metric]:
    counted = node.streams.counters
    return [
        _counter("segments_received", "Segments that peers sent.", counted.segments_received),
        _counter("segments_sent", "Segments sent to peers.", counted.segments_sent),
        _counter(
            "segments_refused", "Segments that no peer should send.", counted.segments_refused
        ),
        _counter("entries_appended", "Entries added to streams.", counted.entries_appended),
        _gauge(
            "proofs_elsewhere",
            "Proofs of forks of streams that are not here.",
            node.gossip.proofs_elsewhere,
        ),
        _counter(
            "contents_fetched",
            "Contents that came after their entries.",
            node.streams.contents.fetched,
        ),
    ]


def _process() -> list[Metric]:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  (no path of ours)
        resident = int(file.read().split()[1]) * PAGE_BYTES
    files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  (the same)
    return [
        Metric("process_resident_memory_bytes", "gauge", "Resident memory.", resident),
        Metric("process_open_fds", "gauge", "Open files and sockets.", files),
        Metric("process_cpu_seconds_total", "counter", "CPU time.", time.process_time()),
    ]


def _gauge(name: str, help_: str, value: float, **labels: str) -> Metric:
    return Metric(f"qbix_{name}", "gauge", help_, value, tuple(labels.items()))


def _counter(name: str, help_: str, value: int) -> Metric:
    return Metric(f"qbix_{name}_total", "counter", help_, value)
