// Matches each packet that was sent with its arrival or loss, so that its journey can be drawn.

export const DELIVERED = 1;
export const DROPPED = 2;

// Columns in the order of sending: sent, ended (Infinity while unknown), from, to, what, size, and
// fate (0 while unknown).
export function matchPackets(records, kinds, placeOf) {
  const sendings = [];
  for (let i = 0; i < records.length; i += 1) if (records.kind[i] === kinds.SENT) sendings.push(i);
  const packets = makeColumns(sendings.length);
  const waiting = new Map(); // per path and type, places of packets under way
  let next = 0;
  for (let i = 0; i < records.length; i += 1) {
    const kind = records.kind[i];
    if (kind === kinds.SENT) {
      const { from, to } = send(packets, next, records, i, placeOf);
      const key = path(from, to, records.subject[i]);
      if (!waiting.has(key)) waiting.set(key, []);
      waiting.get(key).push(next);
      next += 1;
    } else if (kind === kinds.DELIVERED || kind === kinds.DROPPED) {
      end(packets, waiting, records, i, placeOf, kind === kinds.DELIVERED);
    }
  }
  return packets;
}

function makeColumns(length) {
  return {
    length,
    sent: new Float64Array(length),
    ended: new Float64Array(length).fill(Infinity),
    from: new Int32Array(length),
    to: new Int32Array(length),
    what: new Uint32Array(length),
    size: new Float64Array(length),
    fate: new Uint8Array(length),
  };
}

const path = (from, to, what) => `${from} ${to} ${what}`;

function send(packets, place, records, i, placeOf) {
  const from = placeOf(records.node[i]);
  const to = placeOf(records.peer[i]);
  packets.sent[place] = records.at[i];
  packets.from[place] = from;
  packets.to[place] = to;
  packets.what[place] = records.subject[i];
  packets.size[place] = records.value[i];
  return { from, to };
}

// The oldest of equal size ends first. A copy of a datagram that arrives again finds none.
function end(packets, waiting, records, i, placeOf, delivered) {
  const [sender, receiver] = delivered
    ? [records.peer[i], records.node[i]]
    : [records.node[i], records.peer[i]];
  const queue = waiting.get(path(placeOf(sender), placeOf(receiver), records.subject[i]));
  const found = queue?.findIndex((place) => packets.size[place] === records.value[i]) ?? -1;
  if (found < 0) return;
  const [place] = queue.splice(found, 1);
  packets.ended[place] = records.at[i];
  packets.fate[place] = delivered ? DELIVERED : DROPPED;
}
