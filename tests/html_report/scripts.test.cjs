'use strict';
// The page's scripts as plain functions: numbers, scales, sorting, and the replay's state against a
// count that asks every row.

const { test } = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

const SOURCES = path.join(__dirname, '../../src/report/html');
const names = ['number', 'table', 'chart', 'toml', 'replay', 'layout'];
const text = names.map((name) => fs.readFileSync(path.join(SOURCES, `${name}.js`), 'utf8')).join('\n');
const exported = '({ duration, count, percent, signed, ticks, logTicks, lastNotAbove, sortedRows, scale, zoomed, span, stretches, nearest, tomlPieces, Replay, ServerStates, unpackReplay, shownServers, layout, areas, laneAt, elided, grid })';
const page = vm.runInNewContext(`${text}\n${exported}`, { atob, Math, Float64Array, Int32Array, Uint8Array });
/** Values of the other context compare by their form. */
const plain = (value) => JSON.parse(JSON.stringify(value));

/** A small generator of numbers that are the same each time. */
function generator(seed) {
  let state = seed;
  return (below) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * below);
  };
}

/** The form that replay.rs writes. */
function pack(requests) {
  const bytes = [];
  const unsigned = (value) => {
    let rest = value;
    while (rest >= 128) { bytes.push((rest % 128) + 128); rest = Math.floor(rest / 128); }
    bytes.push(rest);
  };
  const step = (from, to) => unsigned(to >= from ? 2 * (to - from) : 2 * (from - to) - 1);
  let [id, due] = [0, 0];
  for (const it of requests) {
    step(id, it.id);
    step(due, it.due);
    [id, due] = [it.id, it.due];
    for (const at of [it.sent, it.firstByte, it.end]) step(due, at);
    for (const value of [it.queued, it.service, 0, it.status, it.error, it.attempts.length]) unsigned(value);
    for (const attempt of it.attempts) {
      unsigned(attempt.number);
      unsigned(attempt.server + 1);
      step(due, attempt.start);
      step(attempt.start, attempt.end);
      for (const value of [attempt.outcome, attempt.status, 0]) unsigned(value);
    }
  }
  return { packed: Buffer.from(bytes).toString('base64'), requests: requests.length };
}

/** Requests that wait, are retried, hedged, refused, left and interrupted. */
function someRequests(seed, size, servers) {
  const next = generator(seed);
  const requests = [];
  let due = 5e14;
  for (let id = 0; id < size; id += 1) {
    due += next(2e6);
    const sent = due + (next(4) === 0 ? next(3e5) : 0);
    const attempts = [];
    let at = sent + next(1e5);
    for (let number = 1; number <= 1 + (next(5) === 0 ? 1 + next(2) : 0); number += 1) {
      const end = at + next(3e7);
      attempts.push({ number, server: next(servers), start: at, end, outcome: 0, status: 200 });
      at = next(6) === 0 ? at + next(1e6) : end + next(2e5);
    }
    if (next(20) === 0) attempts.splice(0, attempts.length, { number: 0, server: -1, start: at, end: at, outcome: 8, status: 503 });
    const last = Math.max(...attempts.map((attempt) => attempt.end));
    const error = [0, 0, 0, 0, 1, 6][next(6)];
    const end = error === 1 ? Math.max(sent, last - next(1e6)) : last + next(1e5);
    requests.push({ id, due, sent, firstByte: end, end, queued: next(3) === 0 ? next(2e7) : 0, service: 1e6, status: next(9) === 0 ? 503 : 200, error, attempts });
  }
  return requests;
}

/** Where everything is, by asking every row. */
function bruteForce(requests, servers, at) {
  const state = { servers: Array.from({ length: servers }, () => ({ queued: 0, served: 0 })), client: 0, balancer: 0, returning: 0, due: 0, good: 0, failed: 0 };
  for (const it of requests) {
    const bad = it.error !== 0 || it.status >= 500;
    state.due += Number(it.due <= at);
    if (it.end <= at && it.error !== 6) state[bad ? 'failed' : 'good'] += 1;
    const going = it.attempts.filter((attempt) => attempt.number > 0 && attempt.start <= at && at < attempt.end);
    const last = it.attempts.filter((attempt) => attempt.number > 0).at(-1);
    for (const attempt of it.due <= at ? going : []) {
      const waits = attempt === last && at < attempt.start + it.queued;
      state.servers[attempt.server][waits ? 'queued' : 'served'] += 1;
    }
    if (it.due > at || at >= it.end || going.length > 0) continue;
    if (it.sent > at) state.client += 1;
    else if (it.attempts.length === 0 || it.attempts.some((attempt) => attempt.start > at)) state.balancer += 1;
    else state.returning += 1;
  }
  return state;
}

test('the state of a replay is what every row says, at any instant', () => {
  for (let seed = 1; seed <= 12; seed += 1) {
    const servers = 1 + (seed % 5);
    const requests = someRequests(seed, 400, servers);
    for (const it of requests) it.attempts.sort((a, b) => a.start - b.start || a.number - b.number);
    const [from, until] = [requests[0].due, requests.at(-1).end + 1];
    const facts = Array.from({ length: servers }, (_, i) => ({ name: `b${i}` }));
    const replay = new page.Replay({ world: 'sim', from_ns: from, until_ns: until, ...pack(requests) }, facts);
    const next = generator(seed + 100);
    // Also the very instants at which something changes.
    const instants = requests.slice(0, 60).flatMap((it) => [it.due, it.sent, it.end, ...it.attempts.flatMap((a) => [a.start, a.end - 1, a.end, a.start + it.queued])]);
    for (let i = 0; i < 200; i += 1) instants.push(from + next(until - from));
    for (const at of instants) {
      const state = replay.stateAt(at);
      const counted = { ...plain(state), servers: state.servers.map((it) => ({ queued: it.queued.length, served: it.served.length })) };
      for (const place of ['client', 'balancer', 'returning']) counted[place] = state[place].length;
      assert.deepEqual(counted, bruteForce(requests, servers, at), `seed ${seed} at ${at}`);
    }
  }
});

test('records come back to the nanosecond', () => {
  const requests = someRequests(3, 50, 3);
  const { rows, attempts } = page.unpackReplay(pack(requests));
  assert.deepEqual([...rows.due], requests.map((it) => it.due));
  assert.deepEqual([...rows.end], requests.map((it) => it.end));
  assert.deepEqual(plain(attempts.start), requests.flatMap((it) => it.attempts.map((attempt) => attempt.start)));
  assert.throws(() => page.unpackReplay({ ...pack(requests), requests: 49 }), /damaged/);
});

test('two attempts that are served at once never share a place', () => {
  const requests = someRequests(7, 300, 2);
  const replay = new page.Replay({ world: 'sim', from_ns: requests[0].due, until_ns: requests.at(-1).end, ...pack(requests) }, [{}, {}]);
  for (const it of requests) {
    for (const { served } of replay.stateAt(it.due).servers) {
      const places = served.map((attempt) => replay.slots[attempt]);
      assert.equal(new Set(places).size, places.length);
      assert.ok(places.every((place) => place >= 0));
    }
  }
});

test('a server is what its last event made of it', () => {
  const events = [
    { at_ns: 10, state: 'fault_begins', subject: 'crash', servers: [1] }, { at_ns: 12, state: 'out', subject: 'b2', servers: [1] },
    { at_ns: 20, state: 'fault_ends', subject: 'crash', servers: [1] }, { at_ns: 25, state: 'up', subject: 'b2', servers: [1] }, { at_ns: 26, subject: 'told', servers: [0] },
  ];
  const states = new page.ServerStates([{ absent: true }, {}], events);
  const seen = (at) => plain(states.stateOf(1, at));
  assert.deepEqual([9, 10, 12, 20, 25].map(seen), [
    { state: 'up', faults: [] }, { state: 'up', faults: ['crash'] }, { state: 'out', faults: ['crash'] }, { state: 'out', faults: [] }, { state: 'up', faults: [] }]);
  assert.equal(states.stateOf(0, 99).state, 'absent');
});

test('columns sort as people do, and what is missing comes last', () => {
  const rows = [['b-10', { value: 3 }], ['b-2', { value: null }], ['b-1', { value: 20 }]];
  const order = (column, descending) => page.sortedRows(rows, column, descending).map((row) => row[0]);
  assert.deepEqual(plain(order(0, false)), ['b-1', 'b-2', 'b-10']);
  assert.deepEqual(plain(order(0, true)), ['b-10', 'b-2', 'b-1']);
  assert.deepEqual(plain(order(1, false)), ['b-10', 'b-1', 'b-2']);
  assert.deepEqual(plain(order(1, true)), ['b-1', 'b-10', 'b-2']);
});

test('scales go there and back, and zooming stays within the ends', () => {
  for (const log of [false, true]) {
    const scale = page.scale(1, 1000, 50, 650, log);
    for (const value of [1, 31.6, 500, 1000]) assert.ok(Math.abs(scale.invert(scale(value)) - value) < 1e-9 * value);
    assert.deepEqual([scale(1), scale(1000)], [50, 650]);
  }
  assert.deepEqual(plain(page.zoomed([0, 100], 0.5, 20, [0, 100])), [10, 60]);
  assert.deepEqual(plain(page.zoomed([10, 60], 4, 20, [0, 100])), [0, 100]);
  assert.deepEqual(plain(page.zoomed([50, 60], 2, 50, [0, 62])), [42, 62].map((it) => it));
});

test('ticks are round', () => {
  assert.deepEqual(plain(page.ticks(0, 1, 5).map((it) => Number(it.toFixed(6)))), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.deepEqual(plain(page.logTicks(3e6, 4e8)), [5e6, 1e7, 2e7, 5e7, 1e8, 2e8]);
  assert.deepEqual(plain(page.ticks(7, 7, 4)), [7]);
});

test('numbers read as in the terminal', () => {
  assert.deepEqual([0, 950, 4_200, 295_573_400, 1_234_000_000, 90e9, -2_500_000].map(page.duration), ['0', '950 ns', '4.2 µs', '295.6 ms', '1.23 s', '1 min 30 s', '−2.5 ms']);
  assert.equal(page.count(1234567), '1 234 567');
  assert.deepEqual([page.signed(-0.26, 1, '%'), page.signed(0.01, 1, '%'), page.percent(0.38461)], ['−0.3%', '0%', '38.5%']);
});

test('what is near is found', () => {
  assert.deepEqual([[0, -1], [1, 0], [2.4, 0], [9, 2]].map(([value]) => page.lastNotAbove([1, 3, 5], value)), [-1, 0, 0, 2]);
  assert.deepEqual([0, 2.1, 4.5, 9].map((value) => page.nearest([1, 3, 5], value)), [0, 1, 2, 2]);
  assert.deepEqual(plain(page.span([0, 10, 20, 30], [11, 19])), [1, 2]);
  assert.deepEqual(plain(page.stretches(0, 5, (i) => i !== 2)), [[0, 1], [3, 4, 5]]);
});

test('a highlighted scenario is still the scenario', () => {
  const lines = ['[[backend]] # four', 'name = "b#1"', 'workers = 24', 'on = ["error", "http_500"]', 'that = "p99 < 800ms" # "why"', 'keep = true', ''];
  for (const line of lines) assert.equal(page.tomlPieces(line).map(([, piece]) => piece).join(''), line);
  assert.deepEqual(plain(page.tomlPieces(lines[1])), [['key', 'name'], [null, ' = '], ['string', '"b#1"']]);
  assert.equal(page.tomlPieces(lines[0])[0][0], 'header');
  assert.equal(page.tomlPieces(lines[4]).at(-1)[0], 'comment');
});

test('every server has a lane of its own on the stage, and its dots are inside of it', () => {
  for (const [count, width] of [[1, 320], [4, 480], [24, 300], [25, 480], [60, 170], [300, 1000], [300, 320], [600, 480]]) {
    const { height, lanes } = page.layout(count, width);
    assert.equal(lanes.length, count);
    assert.ok(height <= 900, `${count} servers are ${height} px high`);
    lanes.forEach((lane, i) => {
      assert.ok(lane.x >= 0 && lane.x + lane.width <= width && lane.y + lane.height <= height, `${count} at ${width}: ${JSON.stringify(lane)}`);
      assert.equal(page.laneAt(lanes, lane.x + lane.width / 2, lane.y + lane.height / 2), lane);
      const after = lanes[i + 1];
      assert.ok(!after || after.x >= lane.x + lane.width || after.y >= lane.y + lane.height, 'lanes overlap');
    });
    const { area, waiting } = page.areas(lanes[0]);
    assert.ok(waiting.x + waiting.width <= area.x + 1e-9, `${count} at ${width}`);
    for (const [part, right] of [[area, false], [waiting, true]]) {
      for (let dot = 0; dot < 24; dot += 1) {
        const [x, y, radius] = page.grid(part, 24, dot, right);
        assert.ok(x >= lanes[0].x && x <= lanes[0].x + lanes[0].width && y >= lanes[0].y && y <= lanes[0].y + lanes[0].height, `${count} at ${width}: ${x} ${y} ${radius}`);
      }
    }
  }
});

test('of too many servers those are drawn that something happens to, and the busiest', () => {
  const servers = Array.from({ length: 1000 }, (_, i) => ({ name: `b-${i}` }));
  const replay = { attempts: { server: [999, 999, 998, -1] } };
  const shown = plain(page.shownServers([replay], servers, [{ servers: [777] }]));
  assert.equal(shown.length, 600);
  for (const place of [777, 998, 999]) assert.ok(shown.includes(place), `${place}`);
  assert.deepEqual(shown, [...shown].sort((a, b) => a - b));
  assert.deepEqual(plain(page.shownServers([replay], servers.slice(0, 3), [])), [0, 1, 2]);
});

test('a name that is too long keeps its end, by which servers differ', () => {
  const fits = (most) => (text) => text.length <= most;
  assert.equal(page.elided('b-1', fits(5)), 'b-1');
  const short = page.elided('frontend-production-12', fits(10));
  assert.ok(short.length === 10 && short.endsWith('ion-12') && short.startsWith('fro') && short.includes('…'), short);
  assert.equal(page.elided('frontend', fits(0)), '…');
});
