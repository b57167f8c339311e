// The kinds of faults by what they touch, and how the report speaks of each.

const GROUPS = {
  separation: ["partition", "one_way", "hold", "cut"],
  weak: ["latency", "jitter", "loss", "duplicate", "reorder", "bandwidth"],
  disk: ["slow_disk", "full_disk", "torn_batch", "lying_disk", "roll_back", "restore"],
  clocks: ["skew", "drift"],
  outage: ["crash", "power_cut"],
  restart: ["restart"],
};

export const GROUP_WORDS = {
  separation: "cut off from others",
  weak: "bad links",
  disk: "disk trouble",
  clocks: "wrong clock",
  outage: "process or power fails",
  restart: "stopped cleanly, to start again",
};

const WORDS = {
  latency: "slow links",
  jitter: "uneven links",
  loss: "packets get lost",
  duplicate: "packets come twice",
  reorder: "packets overtake",
  bandwidth: "narrow links",
  cut: "connections are reset",
  partition: "partition",
  one_way: "nothing leaves (half-open)",
  hold: "packets are held back",
  crash: "crash",
  power_cut: "power cut",
  restart: "clean restart",
  slow_disk: "slow disk",
  full_disk: "disk full",
  torn_batch: "power cut inside a write",
  lying_disk: "disk lies about syncs",
  roll_back: "database goes back in time",
  restore: "restored from an old backup",
  skew: "clock is off",
  drift: "clock runs at another speed",
};

const AMOUNTS = {
  latency: (x) => `${x * 1000} ms more`,
  jitter: (x) => `up to ${x * 1000} ms`,
  loss: (x) => `${share(x)} of packets`,
  duplicate: (x) => `${share(x)} of packets`,
  reorder: (x) => `${share(x)} of packets`,
  bandwidth: (x) => `${x.toLocaleString("en")} bytes a second`,
  slow_disk: (x) => `${x * 1000} ms more a sync`,
  lying_disk: (x) => `${x} s`,
  roll_back: (x) => `by ${x} s`,
  restore: (x) => `by ${x} s`,
  skew: (x) => `${Math.abs(x)} s ${x < 0 ? "behind" : "ahead"}`,
  drift: (x) => `${share(Math.abs(x))} ${x < 0 ? "slower" : "faster"}`,
};

const share = (part) => `${Number((part * 100).toPrecision(3))} %`;

export function groupOf(fault) {
  const found = Object.entries(GROUPS).find(([, faults]) => faults.includes(fault));
  return found ? found[0] : "outage";
}

export function faultWords({ fault, amount }) {
  const words = WORDS[fault] ?? fault;
  const say = AMOUNTS[fault];
  return say && amount ? `${words} (${say(round(amount))})` : words;
}

const round = (number) => Number(number.toPrecision(4));
