'use strict';
// A run's records, and what state they say it was in at any instant: exact to the nanosecond. How
// it is drawn is in stage.js.
//
// A request is in one place at a time:
//   client     due, and not sent yet
//   balancer   sent, and no attempt goes on while one is to come
//   server     an attempt goes on there (two of them, if it is hedged)
//   returning  its last attempt is over, and the client has not all of the answer
// An attempt waits at its server for as long as the backend said, then it is served. The backend
// says so of the last attempt alone, so an earlier one counts as served.

const PASSED = 0;
const REFUSED = 8;
const WITHHELD = 9;
const SUPERSEDED = 10;
const OUTCOMES = ['passed', 'status retried', 'connect failed', 'connect timed out', 'closed', 'read timed out', 'invalid head', 'client gone', 'refused', 'retry withheld', 'superseded'];
const ERRORS = ['none', 'timeout', 'connect', 'reset', 'invalid', 'dropped', 'interrupted'];
const INTERRUPTED = 6;

/** The packed records as columns; see `Replay::pack` in replay.rs. */
function unpackReplay({ packed, requests }) {
  const bytes = Uint8Array.from(atob(packed), (char) => char.charCodeAt(0));
  let at = 0;
  const unsigned = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at];
      at += 1;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  const step = () => {
    const value = unsigned();
    return value % 2 ? -(value + 1) / 2 : value / 2;
  };
  const column = () => new Float64Array(requests);
  const rows = {
    id: column(), due: column(), sent: column(), firstByte: column(), end: column(),
    queued: column(), service: column(), class: column(), status: column(), error: column(),
    firstAttempt: new Float64Array(requests + 1),
  };
  const attempts = { request: [], number: [], server: [], start: [], end: [], outcome: [], status: [], because: [] };
  let id = 0;
  let due = 0;
  for (let i = 0; i < requests; i += 1) {
    id += step();
    due += step();
    rows.id[i] = id;
    rows.due[i] = due;
    rows.sent[i] = due + step();
    rows.firstByte[i] = due + step();
    rows.end[i] = due + step();
    for (const name of ['queued', 'service', 'class', 'status', 'error']) rows[name][i] = unsigned();
    rows.firstAttempt[i] = attempts.request.length;
    for (let left = unsigned(); left > 0; left -= 1) {
      attempts.request.push(i);
      attempts.number.push(unsigned());
      attempts.server.push(unsigned() - 1);
      const start = due + step();
      attempts.start.push(start);
      attempts.end.push(start + step());
      for (const name of ['outcome', 'status', 'because']) attempts[name].push(unsigned());
    }
  }
  rows.firstAttempt[requests] = attempts.request.length;
  if (at !== bytes.length) throw new Error('the replay is damaged');
  return { rows, attempts };
}

/** Whether the client got no good answer: as `RequestRow::failed`. */
function hasFailed(rows, i) {
  return rows.error[i] !== 0 || rows.status[i] >= 500;
}

/** One world's records, ready to be asked. */
class Replay {
  constructor(replay, servers) {
    this.world = replay.world;
    this.from = replay.from_ns;
    this.until = replay.until_ns;
    this.servers = servers;
    Object.assign(this, unpackReplay(replay));
    this.index();
  }

  /** Requests by pieces of the window, so that an instant asks only those that are near. */
  index() {
    const { rows, attempts } = this;
    const size = rows.id.length;
    this.pieces = Array.from({ length: Math.max(1, Math.min(2048, size)) }, () => []);
    this.pieceLength = Math.max(1, (this.until - this.from) / this.pieces.length);
    const ends = { good: [], failed: [] };
    for (let i = 0; i < size; i += 1) {
      let over = rows.end[i];
      for (let a = rows.firstAttempt[i]; a < rows.firstAttempt[i + 1]; a += 1) over = Math.max(over, attempts.end[a]);
      for (let piece = this.pieceOf(rows.due[i]); piece <= this.pieceOf(over); piece += 1) this.pieces[piece].push(i);
      if (rows.error[i] === INTERRUPTED) continue;
      (hasFailed(rows, i) ? ends.failed : ends.good).push(rows.end[i]);
    }
    this.dueAt = Float64Array.from(rows.due).sort();
    this.goodAt = Float64Array.from(ends.good).sort();
    this.failedAt = Float64Array.from(ends.failed).sort();
    const byEnd = attempts.end.map((_, a) => a).sort((a, b) => attempts.end[a] - attempts.end[b]);
    this.attemptsByEnd = byEnd;
    this.attemptEnds = Float64Array.from(byEnd, (a) => attempts.end[a]);
    this.slots = slots(this);
  }

  pieceOf(at) {
    const piece = Math.floor((at - this.from) / this.pieceLength);
    return Math.min(this.pieces.length - 1, Math.max(0, piece));
  }

  /** When an attempt left the server's queue. */
  servedFrom(attempt) {
    const { rows, attempts } = this;
    const i = attempts.request[attempt];
    const last = this.lastAttempt(i);
    return attempts.start[attempt] + (attempt === last ? rows.queued[i] : 0);
  }

  /** The last attempt that went to a server, or -1. */
  lastAttempt(i) {
    const { rows, attempts } = this;
    for (let a = rows.firstAttempt[i + 1] - 1; a >= rows.firstAttempt[i]; a -= 1) {
      if (attempts.number[a] > 0 && attempts.outcome[a] !== SUPERSEDED) return a;
    }
    return -1;
  }

  /** Where everything is at an instant. */
  stateAt(at) {
    const { rows, attempts } = this;
    const servers = this.servers.map(() => ({ queued: [], served: [] }));
    const client = [];
    const balancer = [];
    const returning = [];
    for (const i of this.pieces[this.pieceOf(at)]) {
      if (rows.due[i] > at) break;
      let atServer = false;
      let toCome = rows.firstAttempt[i] === rows.firstAttempt[i + 1];
      for (let a = rows.firstAttempt[i]; a < rows.firstAttempt[i + 1]; a += 1) {
        if (attempts.start[a] > at) toCome = true;
        if (attempts.number[a] === 0 || !(attempts.start[a] <= at && at < attempts.end[a])) continue;
        atServer = true;
        const server = servers[attempts.server[a]];
        if (server) (at < this.servedFrom(a) ? server.queued : server.served).push(a);
      }
      if (atServer || rows.end[i] <= at) continue;
      if (rows.sent[i] > at) client.push(i);
      else if (toCome) balancer.push(i);
      else returning.push(i);
    }
    for (const server of servers) server.queued.sort((a, b) => attempts.start[a] - attempts.start[b]);
    return {
      servers, client, balancer, returning,
      due: lastNotAbove(this.dueAt, at) + 1,
      good: lastNotAbove(this.goodAt, at) + 1,
      failed: lastNotAbove(this.failedAt, at) + 1,
    };
  }

  /** Attempts that ended in (from, to]. */
  endedWithin(from, to) {
    return this.attemptsByEnd.slice(lastNotAbove(this.attemptEnds, from) + 1, lastNotAbove(this.attemptEnds, to) + 1);
  }
}

/** For each attempt the lowest place at its server that is free while it is served, so that a dot
    stays where it is. */
function slots(replay) {
  const { attempts } = replay;
  const taken = replay.servers.map(() => []);
  const slot = new Int32Array(attempts.request.length).fill(-1);
  const order = attempts.start.map((_, a) => a).filter((a) => attempts.number[a] > 0 && attempts.server[a] >= 0);
  const from = order.map((a) => [replay.servedFrom(a), a]).sort((x, y) => x[0] - y[0]);
  for (const [at, a] of from) {
    if (at >= attempts.end[a]) continue;
    const places = taken[attempts.server[a]];
    if (!places) continue;
    let place = places.findIndex((free) => free <= at);
    if (place < 0) place = places.push(0) - 1;
    places[place] = attempts.end[a];
    slot[a] = place;
  }
  return slot;
}

/** The states of the servers of one world, to be asked by time. */
class ServerStates {
  constructor(servers, events) {
    this.changes = servers.map((server) => ({ at: [-Infinity], states: [{ state: server.absent ? 'absent' : 'up', faults: [] }] }));
    for (const event of events) {
      if (!event.state) continue;
      for (const place of event.servers) {
        const { at, states } = this.changes[place];
        const next = { ...states[states.length - 1] };
        if (event.state === 'fault_begins') next.faults = [...next.faults, event.subject];
        else if (event.state === 'fault_ends') next.faults = next.faults.filter((name) => name !== event.subject);
        else next.state = event.state;
        at.push(event.at_ns);
        states.push(next);
      }
    }
  }

  stateOf(place, at) {
    const change = this.changes[place];
    return change.states[lastNotAbove(change.at, at)];
  }
}
