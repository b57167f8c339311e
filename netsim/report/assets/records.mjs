// Unpacks the records of a trace (netsim/trace.py): 30 bytes each, little-endian, deflated, base64.

const RECORD_BYTES = 30;

// Columns of equal length: at (seconds), kind, node, peer, subject, value.
export async function unpackRecords(base64) {
  const view = new DataView(await inflate(base64.trim()));
  const length = Math.floor(view.byteLength / RECORD_BYTES);
  const columns = {
    length,
    at: new Float64Array(length),
    kind: new Uint16Array(length),
    node: new Uint32Array(length),
    peer: new Uint32Array(length),
    subject: new Uint32Array(length),
    value: new Float64Array(length),
  };
  for (let place = 0, offset = 0; place < length; place += 1, offset += RECORD_BYTES) {
    columns.at[place] = view.getFloat64(offset, true);
    columns.kind[place] = view.getUint16(offset + 8, true);
    columns.node[place] = view.getUint32(offset + 10, true);
    columns.peer[place] = view.getUint32(offset + 14, true);
    columns.subject[place] = view.getUint32(offset + 18, true);
    columns.value[place] = Number(view.getBigUint64(offset + 22, true));
  }
  return columns;
}

async function inflate(base64) {
  if (base64 === "") return new ArrayBuffer(0);
  const packed = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}
