// The types of messages that a run carried: the names, and a colour each for the most frequent.

const SEALED = { bytes: "sealed bytes" }; // of the trio driver, which sees no more
const COLOURED_MAX = 7; // what is rarer shares the eighth colour

// Each {what, name, some, colour, shown}, most frequent first.
export function makeTypes(packets, names) {
  const counts = new Map();
  for (const what of packets.what) counts.set(what, (counts.get(what) ?? 0) + 1);
  return [...counts]
    .sort((a, b) => b[1] - a[1] || a[0] - b[0])
    .map(([what, some], place) => ({
      what,
      some,
      name: SEALED[names[what]] ?? names[what] ?? `type ${what}`,
      colour: `type-${Math.min(place, COLOURED_MAX)}`,
      shown: true,
    }));
}
