'use strict';
// Where everything stands on the replay's stage: plain geometry.

/** Servers that have a row each; more share the room as cells. */
const ROWS = 24;
/** Of still more servers, those that something happens to and those with the most requests. */
const CELLS = 600;
/** Pixels below which a stage is that of a phone. */
const NARROW = 430;

/** Servers to be drawn, in their order. */
function shownServers(replays, servers, events) {
  if (servers.length <= CELLS) return servers.map((_, place) => place);
  const counts = new Array(servers.length).fill(0);
  for (const replay of replays) for (const place of replay.attempts.server) if (place >= 0) counts[place] += 1;
  for (const event of events) for (const place of event.servers) counts[place] = Infinity;
  const busiest = counts.map((_, place) => place).sort((a, b) => (counts[a] === counts[b] ? a - b : counts[b] - counts[a])).slice(0, CELLS);
  return busiest.sort((a, b) => a - b);
}

/** The lanes of so many servers on a stage of this width. `head` is the height of a lane's words above
    its dots, `nameWidth` the room for its name, which is before the dots where there is no head. */
function layout(count, width) {
  const left = width * 0.44;
  const room = width - left - 4;
  if (count <= ROWS) {
    const row = count > 20 ? 26 : count > 10 ? 36 : 58;
    const height = Math.max(220, 46 + count * row);
    const step = (height - 40) / count;
    const lane = { width: room, height: step - 5, ...(step > 35 ? { head: 17, nameWidth: room * 0.45 } : { head: 0, nameWidth: 56 }) };
    return { height, left, cells: false, lanes: Array.from({ length: count }, (_, i) => ({ ...lane, x: left, y: 32 + i * step })) };
  }
  const high = 470;
  const columns = Math.max(1, Math.round(Math.sqrt((count * room) / (high * 1.6))));
  const [across, down] = [room / columns, high / Math.ceil(count / columns)];
  const named = across >= 60 && down > 34;
  const lane = { width: across - 3, height: down - 3, head: named ? 17 : 0, nameWidth: named ? across - 34 : 0 };
  const lanes = Array.from({ length: count }, (_, i) => ({ ...lane, x: left + (i % columns) * across, y: 32 + Math.floor(i / columns) * down }));
  return { height: high + 46, left, cells: true, lanes };
}

/** The parts of a lane for what waits and what is served. */
function areas({ x, y, width, height, head, nameWidth }) {
  const before = head > 0 ? 8 : nameWidth > 0 ? 14 + nameWidth : 2;
  const inner = { x: x + before, y: y + Math.max(head, 1), width: width - before - (nameWidth > 0 ? 6 : 2), height: height - Math.max(head, 1) - (nameWidth > 0 ? 4 : 1) };
  const split = inner.width * (nameWidth > 0 ? 0.36 : 0.45);
  return { waiting: { ...inner, width: split - Math.min(6, split * 0.1) }, area: { ...inner, x: inner.x + split, width: inner.width - split } };
}

/** The lane at a point, if there is one. */
function laneAt(lanes, x, y) {
  return lanes.find((lane) => x >= lane.x && x <= lane.x + lane.width && y >= lane.y && y <= lane.y + lane.height);
}

/** A name that fits, with a gap in it if it must be: names of servers differ at their end. */
function elided(name, fits) {
  if (fits(name)) return name;
  for (let kept = name.length - 1; kept > 1; kept -= 1) {
    const end = Math.ceil(kept * 0.65);
    const short = `${name.slice(0, kept - end)}…${name.slice(-end)}`;
    if (fits(short)) return short;
  }
  return '…';
}

/** The place of dot `index` of `most` in an area: columns of the largest dots that fit. A stack
    grows from the right, a bank of workers from the left. */
function grid({ x, y, width, height }, most, index, fromRight) {
  let rows = 1;
  let size = 0;
  for (let tried = 1; tried <= 40; tried += 1) {
    const fits = Math.min(height / tried, width / Math.ceil(most / tried), 13);
    if (fits > size) [size, rows] = [fits, tried];
  }
  const column = Math.floor(index / rows);
  const row = index % rows;
  const across = (column + 0.5) * size;
  return [fromRight ? x + width - across : x + across, y + (row + 0.5) * (height / rows > size * 1.6 ? size * 1.3 : height / rows), Math.max(0.8, size * 0.38)];
}

/** Around a node, in rings. */
function pile([x, y], place) {
  const ring = Math.floor(place / 16);
  const angle = (place % 16) * (Math.PI / 8) + ring * 0.2;
  const radius = 25 + Math.min(ring, 6) * 7;
  return [x + Math.cos(angle) * radius, y + Math.sin(angle) * radius, 2.6];
}

/** A share of the way along some points. */
function along(points, share) {
  const legs = points.length - 1;
  const leg = Math.min(legs - 1, Math.floor(share * legs));
  const part = share * legs - leg;
  const eased = part * part * (3 - 2 * part);
  const [a, b] = [points[leg], points[leg + 1]];
  return [a[0] + (b[0] - a[0]) * eased, a[1] + (b[1] - a[1]) * eased];
}
