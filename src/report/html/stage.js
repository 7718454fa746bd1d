'use strict';
// The replay's stage: the worlds side by side on one clock. A request's dot is where the records
// say at that instant; only its way from one place to the next is drawn longer than it took, since
// nobody could see a flight of 50 µs.

/** How long a flight is drawn, ns of the viewer's time. */
const FLIGHT = 0.3e9;
const SPEEDS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 60];
const STATE_WORDS = { up: 'up', out: 'ejected', draining: 'draining', starting: 'starting', absent: 'not there' };
/** Servers that have a row each; of more, those with the most requests of the window. */
const ROWS = 40;

/** What a server is in a word. */
function stateWord({ state, faults }) {
  const words = [...faults, ...(state === 'up' && faults.length > 0 ? [] : [STATE_WORDS[state]])];
  return words.join(', ');
}

/** Servers to be drawn: all, or the busiest in their order. */
function shownServers(replays, servers) {
  if (servers.length <= ROWS) return servers.map((_, place) => place);
  const counts = new Array(servers.length).fill(0);
  for (const replay of replays) for (const place of replay.attempts.server) if (place >= 0) counts[place] += 1;
  const busiest = counts.map((_, place) => place).sort((a, b) => counts[b] - counts[a]).slice(0, ROWS);
  return busiest.sort((a, b) => a - b);
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
    this.canvas = h('canvas', { role: 'img', 'aria-label': `Replay of the ${replay.world === 'sim' ? 'model' : 'live world'}; the numbers below say the same.` });
    this.context = this.canvas.getContext('2d');
  }

  /** To its place on the page, with the pixels of the screen. */
  fit() {
    const width = this.canvas.clientWidth;
    const rows = this.shown.length;
    this.narrow = width < 430;
    const row = rows > 20 ? 26 : rows > 10 ? 36 : 58;
    const height = Math.max(220, 46 + rows * row);
    const ratio = window.devicePixelRatio || 1;
    this.canvas.style.height = `${height}px`;
    if (this.canvas.width !== Math.round(width * ratio)) this.canvas.width = Math.round(width * ratio);
    if (this.canvas.height !== Math.round(height * ratio)) this.canvas.height = Math.round(height * ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.size = [width, height];
    const middle = 30 + (height - 40) / 2;
    this.client = [this.narrow ? 26 : 40, middle];
    this.balancer = [width * (this.narrow ? 0.29 : 0.3), middle];
    const left = width * (this.narrow ? 0.44 : 0.44);
    this.lanes = this.shown.map((place, i) => ({ place, x: left, y: 32 + i * ((height - 40) / rows), width: width - left - 4, height: (height - 40) / rows - 5 }));
  }

  /** Where an attempt's dot stands in its lane; `queue` is its place in the queue or -1, of so many. */
  spot(attempt, queue, queueLength = 0) {
    const { replay } = this;
    const lane = this.lanes[this.rowOf.get(replay.attempts.server[attempt])];
    if (!lane) return null;
    const { area, waiting } = this.areas(lane);
    if (queue >= 0) return grid(waiting, Math.max(queueLength, 24), queue, true);
    return grid(area, this.most[lane.place], Math.max(0, replay.slots[attempt]), false);
  }

  areas(lane) {
    const head = lane.height > 30 ? 17 : 2;
    const name = lane.height > 30 ? 0 : 62;
    const x = lane.x + 8 + name;
    const width = lane.width - 14 - name;
    const y = lane.y + head;
    const height = lane.height - head - 4;
    const split = width * 0.36;
    return { waiting: { x, y, width: split - 6, height }, area: { x: x + split, y, width: width - split, height } };
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
    for (const lane of this.lanes) {
      c.moveTo(...this.balancer);
      c.lineTo(lane.x, lane.y + lane.height / 2);
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
    c.roundRect(lane.x, lane.y, lane.width, lane.height, 6);
    c.fill();
    c.stroke();
    c.setLineDash([]);
    c.globalAlpha = 1;
  }

  /** Over the dots, so that it can be read. */
  nameServer(c, colours, now, server, lane) {
    const { name } = this.facts.servers[lane.place];
    const tall = lane.height > 30;
    const y = tall ? lane.y + 10 : lane.y + lane.height / 2;
    c.fillStyle = colours.ink;
    c.font = `600 12px ${colours.font}`;
    c.fillText(name, lane.x + 8, y, 56);
    if (!tall) return;
    const named = Math.min(56, c.measureText(name).width);
    c.font = `12px ${colours.font}`;
    const word = stateWord(now);
    c.fillStyle = now.faults.length > 0 ? colours.badInk : colours.muted;
    if (word !== 'up') c.fillText(word, lane.x + 14 + named, y, lane.width * 0.5);
    c.textAlign = 'right';
    c.fillStyle = colours.ink;
    c.fillText(server.queued.length > 0 ? `${server.queued.length} waiting + ${server.served.length}` : String(server.served.length), lane.x + lane.width - 7, y, lane.width * 0.45);
    c.textAlign = 'left';
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

/** The scenes of a part, their clock and its controls. */
class Stage {
  constructor(facts, records, onTime) {
    this.onTime = onTime;
    this.facts = facts;
    const replays = records.replays.map((replay) => new Replay(replay, facts.servers));
    const shown = shownServers(replays, facts.servers);
    this.events = records.events;
    this.times = this.events.map((event) => event.at_ns);
    this.scenes = replays.map((replay) => new Scene(replay, facts, this.events.filter((event) => event.world === replay.world), shown));
    this.from = Math.min(...replays.map((replay) => replay.from));
    this.until = Math.max(...replays.map((replay) => replay.until), this.from + 1);
    this.at = this.from;
    this.speed = this.firstSpeed();
    this.playing = false;
    this.still = matchMedia('(prefers-reduced-motion: reduce)');
    this.dark = matchMedia('(prefers-color-scheme: dark)');
    this.build(shown);
  }

  /** So that requests are seen to move: the median attempt takes a second or so. */
  firstSpeed() {
    const spans = this.scenes.flatMap(({ replay }) => replay.attempts.end.map((end, a) => end - replay.attempts.start[a]).filter((it) => it > 0));
    spans.sort((a, b) => a - b);
    const median = spans[spans.length >> 1] || 1e9;
    const wanted = Math.min(2, Math.max(0.01, median / 0.8e9));
    return SPEEDS.reduce((best, it) => (Math.abs(Math.log(it / wanted)) < Math.abs(Math.log(best / wanted)) ? it : best), 1);
  }

  build(shown) {
    this.playButton = h('button', { type: 'button', class: 'play', onclick: () => this.toggle() }, '▶ Play');
    this.slider = h('input', { type: 'range', min: 0, max: 10000, value: 0, step: 1, 'aria-label': 'Time in the run', oninput: () => {
      this.pause();
      this.seek(this.from + (this.until - this.from) * (this.slider.value / 10000));
    } });
    this.clock = h('output', { class: 'clock' });
    this.speedChoice = h('select', { 'aria-label': 'Speed', onchange: () => { this.speed = Number(this.speedChoice.value); } },
      SPEEDS.map((speed) => h('option', { value: speed, selected: speed === this.speed }, `${speed}×`)));
    const jump = (by) => h('button', { type: 'button', 'aria-label': by < 0 ? 'Event before' : 'Next event', onclick: () => this.jump(by) }, by < 0 ? '‹ event' : 'event ›');
    const marks = h('div', { class: 'marks', 'aria-hidden': 'true' }, this.events
      .filter((event) => event.at_ns >= this.from && event.at_ns <= this.until).slice(0, 400)
      .map((event) => h('i', { class: `mark ${event.kind}`, style: `left: ${((event.at_ns - this.from) / (this.until - this.from)) * 100}%`, title: `${seconds(event.at_ns, 2)} ${event.subject}: ${event.reason}` })));
    this.said = h('p', { class: 'last-event' });
    this.counts = this.scenes.map(() => ({}));
    const worlds = this.scenes.map((scene, place) => {
      const cell = (name, label) => h('div', {}, h('dt', {}, label), h('dd', {}, this.counts[place][name] = document.createTextNode('0')));
      return h('div', { class: 'world' }, h('h3', { class: scene.replay.world }, h('i', { class: 'dot' }), scene.replay.world === 'sim' ? 'Model' : 'Live'), scene.canvas,
        h('dl', { class: 'counts' }, cell('due', 'due'), cell('out', 'in flight'), cell('queued', 'waiting'), cell('good', 'answered'), cell('failed', 'failed')));
    });
    const whole = this.from === 0 && this.until >= this.facts.duration_ns;
    const left = this.facts.servers.length - shown.length;
    this.element = h('div', { class: 'stage' },
      h('div', { class: 'controls' }, jump(-1), this.playButton, jump(1), this.speedChoice, this.clock),
      h('div', { class: 'scrub' }, this.slider, marks),
      h('div', { class: `worlds of-${worlds.length}` }, worlds), this.said,
      h('ul', { class: 'legend plain' },
        this.scenes.map(({ replay }) => h('li', {}, h('i', { class: `dot ${replay.world}` }), `served (${replay.world === 'sim' ? 'model' : 'live'})`)),
        h('li', {}, h('i', { class: 'dot retried' }), 'a further attempt'), h('li', {}, h('i', { class: 'dot queued' }), 'waiting'), h('li', {}, h('i', { class: 'dot bad' }), 'attempt failed')),
      h('p', { class: 'note' },
        whole ? 'Every request of the run. ' : `A window of the run with every request in it, from ${seconds(this.from)} to ${seconds(this.until, 2)}: all of it would make this page too large. Counts begin with the window. `,
        'Places, stacks and numbers are those of the records at that instant; a dot’s way between two places is drawn for 0.3 s of your time. Whether an attempt waited is recorded for the last one of a request.',
        left > 0 ? ` The ${shown.length} busiest servers are drawn, ${left} are not.` : ''));
    this.element.addEventListener('keydown', (event) => {
      if (event.key === ' ' && event.target === this.slider) { event.preventDefault(); this.toggle(); }
    });
    new ResizeObserver(() => this.refresh()).observe(this.element);
    this.dark.addEventListener('change', () => this.refresh());
  }

  refresh() {
    this.colours = null;
    this.scenes.forEach((scene) => scene.fit());
    this.draw();
  }

  readColours() {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(`--${name}`).trim();
    return { sim: of('sim'), live: of('live'), queued: of('warn-line'), retried: of('retried'), bad: of('bad-line'), badInk: of('bad'), line: of('line-strong'), muted: of('muted'), ink: of('ink'), surface: of('surface'), faultBack: of('fault-back'), outBack: of('out-back'), font: 'system-ui, sans-serif' };
  }

  draw() {
    this.colours = this.colours || this.readColours();
    const flight = this.still.matches ? 0 : FLIGHT * this.speed;
    this.scenes.forEach((scene, place) => {
      const state = scene.draw(this.at, flight, this.colours);
      if (state) this.tell(this.counts[place], state);
    });
    this.clock.textContent = `${(this.at / 1e9).toFixed(this.speed < 0.1 ? 4 : 2)} s of ${seconds(this.until)}`;
    this.slider.value = ((this.at - this.from) / (this.until - this.from)) * 10000;
    this.slider.setAttribute('aria-valuetext', seconds(this.at, 2));
    const last = this.events[lastNotAbove(this.times, this.at)];
    this.said.textContent = last ? `${seconds(last.at_ns, 3)} · ${last.world === 'sim' ? 'model' : 'live'} · ${last.subject}: ${last.reason}` : 'Nothing has happened yet but requests.';
    if (this.onTime) this.onTime(this.at);
  }

  tell(cells, state) {
    const sum = (of) => state.servers.reduce((total, server) => total + of(server), 0);
    const waiting = sum((server) => server.queued.length) + state.balancer.length;
    const out = sum((server) => server.queued.length + server.served.length) + state.balancer.length + state.client.length + state.returning.length;
    for (const [name, value] of Object.entries({ due: state.due, out, queued: waiting, good: state.good, failed: state.failed })) {
      const text = count(value);
      if (cells[name].data !== text) cells[name].data = text;
    }
  }

  seek(at) {
    this.at = Math.min(this.until, Math.max(this.from, at));
    this.draw();
  }

  jump(by) {
    this.pause();
    const times = this.events.map((event) => event.at_ns).filter((at) => at >= this.from && at <= this.until);
    const next = by > 0 ? times.find((at) => at > this.at) : times.reverse().find((at) => at < this.at);
    this.seek(next ?? (by > 0 ? this.until : this.from));
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  play() {
    if (this.at >= this.until) this.at = this.from;
    this.playing = true;
    this.playButton.textContent = '❚❚ Pause';
    let before = null;
    const frame = (now) => {
      if (!this.playing) return;
      // Without motion it goes by still pictures, two a second.
      if (before !== null && (!this.still.matches || now - before > 500)) {
        this.at = Math.min(this.until, this.at + Math.min(now - before, 600) * 1e6 * this.speed);
        this.draw();
        before = now;
      }
      before = before ?? now;
      if (this.at >= this.until) this.pause();
      else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  pause() {
    this.playing = false;
    this.playButton.textContent = '▶ Play';
  }
}
