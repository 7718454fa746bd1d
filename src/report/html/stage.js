'use strict';
// The replay's stage: the worlds side by side on one clock, and what moves it.

/** How long a flight is drawn, ns of the viewer's time. */
const FLIGHT = 0.3e9;
const SPEEDS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 60];

/** The scenes of a part, their clock and its controls. */
class Stage {
  constructor(facts, records, onTime) {
    this.onTime = onTime;
    this.facts = facts;
    const replays = records.replays.map((replay) => new Replay(replay, facts.servers));
    this.events = records.events;
    const shown = shownServers(replays, facts.servers, this.events);
    this.times = this.events.map((event) => event.at_ns);
    this.scenes = replays.map((replay) => new Scene(replay, facts, this.events.filter((event) => event.world === replay.world), shown));
    this.from = Math.min(...replays.map((replay) => replay.from));
    this.until = Math.max(...replays.map((replay) => replay.until), this.from + 1);
    this.at = this.from;
    this.speed = this.firstSpeed();
    this.playing = false;
    this.still = matchMedia('(prefers-reduced-motion: reduce)');
    this.dark = matchMedia('(prefers-color-scheme: dark)');
    this.build(shown, records);
  }

  /** So that requests are seen to move: the median attempt takes a second or so. */
  firstSpeed() {
    const spans = this.scenes.flatMap(({ replay }) => replay.attempts.end.map((end, a) => end - replay.attempts.start[a]).filter((it) => it > 0));
    spans.sort((a, b) => a - b);
    const median = spans[spans.length >> 1] || 1e9;
    const wanted = Math.min(2, Math.max(0.01, median / 0.8e9));
    return SPEEDS.reduce((best, it) => (Math.abs(Math.log(it / wanted)) < Math.abs(Math.log(best / wanted)) ? it : best), 1);
  }

  build(shown, records) {
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
    const derived = records.replays.find((replay) => replay.derived)?.world;
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
        derived ? ` The ${derived} world’s balancer records no attempts: a request is with the server that answered it for as long as that says, and else at the balancer.` : '',
        left > 0 ? ` ${shown.length} servers are drawn, those that something happens to and the busiest; ${left} are not.` : ''));
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
