'use strict';
// One world of the replay as a picture: where everything stands, and how it is drawn. A request's
// dot is where the records say at that instant; only its way from one place to the next is drawn
// longer than it took, since nobody could see a flight of 50 µs.

const STATE_WORDS = { up: 'up', out: 'ejected', draining: 'draining', starting: 'starting', absent: 'not there' };
/** What a server is in a word. */
function stateWord({ state, faults }) {
  const words = [...faults, ...(state === 'up' && faults.length > 0 ? [] : [STATE_WORDS[state]])];
  return words.join(', ');
}

/** Draws one world. */
class Scene {
  constructor(replay, facts, events, shown) {
    this.replay = replay;
    this.states = new ServerStates(facts.servers, events);
    this.facts = facts;
    this.shown = shown;
    this.rowOf = new Map(shown.map((place, row) => [place, row]));
    this.most = facts.servers.map((server) => Math.max(1, server.workers));
    replay.attempts.server.forEach((place, a) => {
      if (place >= 0) this.most[place] = Math.max(this.most[place], replay.slots[a] + 1);
    });
    this.most = this.most.map((most) => Math.min(most, 400));
    this.lanes = [];
    this.canvas = h('canvas', { role: 'img', 'aria-label': `Replay of the ${replay.world === 'sim' ? 'model' : 'live world'}; the numbers below say the same.` });
    this.context = this.canvas.getContext('2d');
    // Where there is no room for names.
    this.canvas.addEventListener('mousemove', (event) => {
      const lane = laneAt(this.lanes, event.offsetX, event.offsetY);
      const title = lane ? this.facts.servers[lane.place].name : '';
      if (this.canvas.title !== title) this.canvas.title = title;
    });
  }

  /** To its place on the page, with the pixels of the screen. */
  fit() {
    const width = this.canvas.clientWidth;
    const { height, left, cells, lanes } = layout(this.shown.length, width);
    const ratio = window.devicePixelRatio || 1;
    this.canvas.style.height = `${height}px`;
    if (this.canvas.width !== Math.round(width * ratio)) this.canvas.width = Math.round(width * ratio);
    if (this.canvas.height !== Math.round(height * ratio)) this.canvas.height = Math.round(height * ratio);
    const c = this.context;
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.size = [width, height];
    const middle = 30 + (height - 40) / 2;
    this.client = [width < NARROW ? 26 : 40, middle];
    this.balancer = [width * (width < NARROW ? 0.29 : 0.3), middle];
    this.left = left;
    this.cells = cells;
    c.font = '600 12px system-ui, sans-serif';
    this.lanes = lanes.map((lane, row) => {
      const place = this.shown[row];
      return { ...lane, place, label: elided(this.facts.servers[place].name, (text) => c.measureText(text).width <= lane.nameWidth) };
    });
  }

  /** Where an attempt's dot stands in its lane; `queue` is its place in the queue or -1, of so many. */
  spot(attempt, queue, queueLength = 0) {
    const { replay } = this;
    const lane = this.lanes[this.rowOf.get(replay.attempts.server[attempt])];
    if (!lane) return null;
    const { area, waiting } = areas(lane);
    if (queue >= 0) return grid(waiting, Math.max(queueLength, 24), queue, true);
    return grid(area, this.most[lane.place], Math.max(0, replay.slots[attempt]), false);
  }

  draw(at, flight, colours) {
    const { context: c, replay } = this;
    if (!this.size) return null;
    const state = replay.stateAt(at);
    c.clearRect(0, 0, ...this.size);
    c.font = `12px ${colours.font}`;
    c.textBaseline = 'middle';
    this.drawWires(c, colours);
    const now = this.shown.map((place) => this.states.stateOf(place, at));
    this.shown.forEach((place, row) => this.drawServer(c, colours, now[row], state.servers[place], this.lanes[row]));
    const dots = { world: [], retried: [], queued: [], bad: [] };
    this.placeDots(dots, state, at, flight);
    this.placeLeaving(dots, at, flight);
    for (const [kind, points] of Object.entries(dots)) drawDots(c, points, colours[kind === 'world' ? replay.world : kind], kind);
    this.shown.forEach((place, row) => this.nameServer(c, colours, now[row], state.servers[place], this.lanes[row]));
    this.drawEnds(c, colours, state);
    return state;
  }

  drawWires(c, colours) {
    c.strokeStyle = colours.line;
    c.lineWidth = 1;
    c.beginPath();
    c.moveTo(...this.client);
    c.lineTo(...this.balancer);
    if (this.cells) {
      const [first, last] = [this.lanes[0], this.lanes.at(-1)];
      c.moveTo(...this.balancer);
      c.lineTo(this.left - 7, this.balancer[1]);
      c.moveTo(this.left - 7, first.y);
      c.lineTo(this.left - 7, last.y + last.height);
    } else {
      for (const lane of this.lanes) {
        c.moveTo(...this.balancer);
        c.lineTo(lane.x, lane.y + lane.height / 2);
      }
    }
    c.stroke();
  }

  drawEnds(c, colours, state) {
    const node = ([x, y], radius, label, value) => {
      c.fillStyle = colours.surface;
      c.strokeStyle = colours.muted;
      c.lineWidth = 1.5;
      c.beginPath();
      c.arc(x, y, radius, 0, 2 * Math.PI);
      c.fill();
      c.stroke();
      c.textAlign = 'center';
      c.fillStyle = colours.ink;
      c.font = `600 13px ${colours.font}`;
      c.fillText(value, x, y + 1);
      c.font = `12px ${colours.font}`;
      c.fillStyle = colours.muted;
      c.fillText(label, x, y + radius + 12);
    };
    const out = state.client.length + state.balancer.length + state.returning.length + state.servers.reduce((sum, it) => sum + it.queued.length + it.served.length, 0);
    node(this.client, 18, 'clients', String(out));
    node(this.balancer, 18, 'balancer', state.balancer.length > 0 ? `+${state.balancer.length}` : '⇄');
    c.textAlign = 'left';
  }

  drawServer(c, colours, now, server, lane) {
    const faulty = now.faults.length > 0;
    const there = now.state !== 'absent';
    c.fillStyle = faulty ? colours.faultBack : now.state === 'out' ? colours.outBack : colours.surface;
    c.strokeStyle = faulty ? colours.bad : now.state === 'out' || now.state === 'draining' ? colours.queued : colours.line;
    c.lineWidth = faulty || now.state === 'out' ? 2 : 1;
    c.setLineDash(there && now.state !== 'starting' ? [] : [4, 4]);
    c.globalAlpha = there || server.served.length > 0 ? 1 : 0.5;
    c.beginPath();
    c.roundRect(lane.x, lane.y, lane.width, lane.height, Math.min(6, lane.height / 4));
    c.fill();
    c.stroke();
    c.setLineDash([]);
    c.globalAlpha = 1;
  }

  /** Over the dots, so that it can be read. */
  nameServer(c, colours, now, server, lane) {
    if (lane.nameWidth === 0) return;
    const y = lane.head > 0 ? lane.y + 10 : lane.y + lane.height / 2;
    c.fillStyle = colours.ink;
    c.font = `600 12px ${colours.font}`;
    c.fillText(lane.label, lane.x + 8, y);
    const named = c.measureText(lane.label).width;
    if (lane.head === 0) return;
    c.font = `12px ${colours.font}`;
    const { queued, served } = server;
    const number = this.cells || queued.length === 0 ? String(queued.length + served.length) : `${queued.length} waiting + ${served.length}`;
    c.textAlign = 'right';
    c.fillText(number, lane.x + lane.width - 7, y);
    c.textAlign = 'left';
    const word = stateWord(now);
    const room = lane.width - 34 - named - c.measureText(number).width;
    if (word === 'up' || room < 20) return;
    c.fillStyle = now.faults.length > 0 ? colours.badInk : colours.muted;
    c.fillText(elided(word, (text) => c.measureText(text).width <= room), lane.x + 14 + named, y);
  }

  /** Everything that is somewhere. */
  placeDots(dots, state, at, flight) {
    for (const server of state.servers) {
      server.served.forEach((a) => this.placeAttempt(dots, a, -1, 0, at, flight));
      server.queued.forEach((a, place) => this.placeAttempt(dots, a, place, server.queued.length, at, flight));
    }
    state.client.forEach((_, place) => dots.queued.push(pile(this.client, place)));
    state.balancer.forEach((_, place) => dots.queued.push(pile(this.balancer, place)));
  }

  placeAttempt(dots, attempt, queue, queueLength, at, flight) {
    const { attempts } = this.replay;
    const spot = this.spot(attempt, queue, queueLength);
    if (!spot) return;
    const kind = queue >= 0 ? 'queued' : attempts.number[attempt] > 1 ? 'retried' : 'world';
    const start = attempts.start[attempt];
    const long = Math.min(flight, (attempts.end[attempt] - start) * 0.45);
    const share = long > 0 ? (at - start) / long : 1;
    if (share >= 1) { dots[kind].push(spot); return; }
    const way = attempts.number[attempt] > 1 ? [this.balancer, spot] : [this.client, this.balancer, spot];
    dots[attempts.number[attempt] > 1 ? 'retried' : 'world'].push([...along(way, share), spot[2]]);
  }

  /** What has just ended flies home, and what failed drops at its server. */
  placeLeaving(dots, at, flight) {
    const { attempts } = this.replay;
    if (flight === 0) return;
    for (const a of this.replay.endedWithin(at - flight, at)) {
      if (attempts.number[a] === 0) continue;
      const spot = this.spot(a, -1);
      if (!spot) continue;
      const good = attempts.outcome[a] === PASSED && attempts.status[a] < 500;
      const share = (at - attempts.end[a]) / flight;
      if (good) dots.world.push([...along([spot, this.balancer, this.client], share), spot[2] * 0.8]);
      else dots.bad.push([...along([spot, this.balancer], share * 0.6), spot[2] * (1.5 - share * 0.5)]);
    }
  }
}

function drawDots(c, points, colour, kind) {
  if (points.length === 0) return;
  c.fillStyle = colour;
  c.strokeStyle = colour;
  c.lineWidth = 1.4;
  c.beginPath();
  for (const [x, y, radius] of points) {
    c.moveTo(x + radius, y);
    c.arc(x, y, radius, 0, 2 * Math.PI);
  }
  if (kind === 'queued') c.stroke();
  else c.fill();
}
