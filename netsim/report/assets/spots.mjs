// Where the nodes stand in the picture of the network.

const CIRCLE_MAX = 80; // more nodes stand on several circles, one inside the other

// Who is cut off together stands together, so that a partition is one region.
export function orderOf({ nodes, faults }) {
  const apart = faults.filter((fault) => fault.group === "separation" && !fault.everywhere);
  apart.sort((a, b) => b.to - b.from - (a.to - a.from) || a.place - b.place);
  const inside = apart.map((fault) => new Set(fault.nodes));
  const compare = (a, b) => {
    for (const set of inside) if (set.has(a) !== set.has(b)) return set.has(a) ? -1 : 1;
    return a - b;
  };
  return nodes.map((_, place) => place).sort(compare);
}

// On a circle; on several if they are many. Spots by place of the node.
export function placeNodes(order, side) {
  const many = order.length > CIRCLE_MAX;
  const r = many
    ? 0.4 * side * Math.sqrt(1 / (2.9 * order.length))
    : Math.min(15, (side * 1.1) / order.length);
  const spots = [];
  let [first, radius] = [0, side / 2 - r - 26];
  while (first < order.length) {
    const room = Math.max(1, Math.floor((2 * Math.PI * radius) / (r * 2.6)));
    const some = Math.min(room, order.length - first);
    for (let i = 0; i < some; i += 1) {
      const angle = (2 * Math.PI * i) / some - Math.PI / 2;
      spots[order[first + i]] = {
        x: side / 2 + radius * Math.cos(angle),
        y: side / 2 + radius * Math.sin(angle),
        r,
        angle,
      };
    }
    first += some;
    radius = Math.max(radius - r * 3, r);
  }
  return spots;
}
