// Hex in which [3*20] stands for 20 bytes, each a copy of the one 3 bytes before it.

export function longHex(text) {
  const bytes = []
  for (const [, back, length, plain] of text.matchAll(/\[(\d+)\*(\d+)\]|([0-9a-f]+)/g)) {
    if (plain) for (const byte of Buffer.from(plain, 'hex')) bytes.push(byte)
    else for (let left = Number(length); left > 0; left--) bytes.push(bytes[bytes.length - Number(back)])
  }
  return Buffer.from(bytes)
}
