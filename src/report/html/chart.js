'use strict';
// Line charts as SVG: hover, keyboard, zoom. Charts over time share one stretch of time and one
// cursor, so that what happened at an instant is seen in all of them.

const MARGIN = { left: 58, right: 12, top: 10, bottom: 26 };

/** A linear or logarithmic scale from values to pixels. */
function scale(low, high, from, to, log) {
  const of = log ? Math.log10 : (value) => value;
  const [a, b] = [of(low), of(high)];
  const factor = b > a ? (to - from) / (b - a) : 0;
  const place = (value) => from + (of(log ? Math.max(value, low) : value) - a) * factor;
  place.invert = (pixel) => (factor === 0 ? low : ((raw) => (log ? 10 ** raw : raw))(a + (pixel - from) / factor));
  return place;
}

/** A stretch shown of [low, high], made `factor` as long around `centre`, within its ends. */
function zoomed([from, until], factor, centre, [low, high]) {
  const length = Math.min((until - from) * factor, high - low);
  const share = until > from ? (centre - from) / (until - from) : 0.5;
  const start = Math.min(Math.max(centre - length * share, low), high - length);
  return [start, start + length];
}

/** What charts share: the stretch that is shown, and the cursor. */
class Axis {
  constructor(low, high, format) {
    Object.assign(this, { low, high, format, view: [low, high], cursor: null, now: null, charts: [] });
    this.least = (high - low) / 500;
  }

  show(view) {
    if (view[1] - view[0] < this.least) return;
    this.view = view;
    this.charts.forEach((chart) => chart.draw());
    if (this.onview) this.onview();
  }

  get isZoomed() {
    return this.view[0] > this.low || this.view[1] < this.high;
  }

  zoom(factor) {
    const centre = this.cursor ?? (this.view[0] + this.view[1]) / 2;
    this.show(zoomed(this.view, factor, centre, [this.low, this.high]));
  }

  reset() {
    this.show([this.low, this.high]);
  }

  point(value) {
    this.cursor = value;
    this.charts.forEach((chart) => chart.drawCursor());
  }

  /** Where the replay is. */
  at(value) {
    this.now = value;
    this.charts.forEach((chart) => chart.drawNow());
  }
}

/** spec: {title, note, axis, series, format, log, shades: [{from, until, label}], floor}
    series: {name, colour, dash, kind: line | step | band | bars, xs, ys, low, high, hidden, format} */
class Chart {
  constructor(spec) {
    Object.assign(this, spec);
    this.log = Boolean(spec.log);
    this.axis.charts.push(this);
    this.svg = h('svg:svg', { class: 'plot', role: 'group', tabindex: 0, 'aria-label': `${this.title}. Arrow keys read values, plus and minus zoom, 0 shows all.` });
    this.tip = h('div', { class: 'tip', hidden: true });
    this.said = h('div', { class: 'unseen', 'aria-live': 'polite' });
    const name = h('h3', {}, this.title);
    const log = spec.log === undefined ? null : h('button', { type: 'button', class: 'small', 'aria-pressed': String(this.log), onclick: () => {
      this.log = !this.log;
      log.setAttribute('aria-pressed', String(this.log));
      this.draw();
    } }, 'log scale');
    this.element = h('figure', { class: 'chart' },
      h('figcaption', {}, name, spec.note ? h('span', { class: 'note' }, spec.note) : null, h('span', { class: 'room' }), log),
      h('div', { class: 'legend' }, this.series.filter((series) => series.name).map((series) => this.key(series))),
      h('div', { class: 'frame' }, this.svg, this.tip, this.said));
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.svg);
  }

  key(series) {
    const swatch = h('svg:svg', { class: 'swatch', viewBox: '0 0 22 10', 'aria-hidden': 'true' }, series.kind === 'band' || series.kind === 'bars'
      ? h('svg:rect', { x: 0, y: 1, width: 22, height: 8, style: `fill: var(--${series.colour}); opacity: ${series.kind === 'band' ? 0.3 : 0.75}` })
      : h('svg:line', { x1: 0, x2: 22, y1: 5, y2: 5, style: `stroke: var(--${series.colour}); stroke-width: 2.5`, 'stroke-dasharray': series.dash || null }));
    const button = h('button', { type: 'button', class: 'key', 'aria-pressed': String(!series.hidden), onclick: () => {
      series.hidden = !series.hidden;
      button.setAttribute('aria-pressed', String(!series.hidden));
      this.draw();
    } }, swatch, series.name);
    return button;
  }

  get visible() {
    return this.series.filter((series) => !series.hidden && series.xs.length > 0);
  }

  draw() {
    const box = this.svg.getBoundingClientRect();
    if (box.width < 40) return;
    this.width = box.width;
    this.height = box.height;
    const right = this.width - MARGIN.right;
    const bottom = this.height - MARGIN.bottom;
    this.x = scale(this.axis.view[0], this.axis.view[1], MARGIN.left, right, false);
    const [low, high] = this.range();
    this.y = scale(low, high, bottom, MARGIN.top, this.log);
    const parts = [];
    for (const shade of this.shades || []) parts.push(this.shade(shade, right, bottom));
    const heights = (this.log ? logTicks(low, high) : ticks(low, high, this.height / 45))
      .filter((value) => this.format !== count || Math.abs(value - Math.round(value)) < 1e-9);
    for (const value of heights) {
      const y = this.y(value);
      parts.push(h('svg:line', { class: 'grid', x1: MARGIN.left, x2: right, y1: y, y2: y }));
      parts.push(h('svg:text', { class: 'tick', x: MARGIN.left - 8, y: y + 4, 'text-anchor': 'end' }, this.format(value)));
    }
    for (const tick of this.axis.ticks ? this.axis.ticks() : ticks(...this.axis.view, this.width / 90)) {
      const [value, label] = Array.isArray(tick) ? tick : [tick, this.axis.format(tick)];
      const x = this.x(value);
      if (x < MARGIN.left - 1 || x > right + 1) continue;
      parts.push(h('svg:line', { class: 'grid faint', x1: x, x2: x, y1: MARGIN.top, y2: bottom }));
      parts.push(h('svg:text', { class: 'tick', x, y: bottom + 17, 'text-anchor': x > right - 24 ? 'end' : 'middle' }, label));
    }
    const lines = h('svg:g', { 'clip-path': `url(#${this.clipId()})` }, this.visible.map((series) => this.path(series)));
    const clip = h('svg:clipPath', { id: this.clipId() }, h('svg:rect', { x: MARGIN.left, y: 0, width: right - MARGIN.left, height: bottom + 1 }));
    this.nowLine = h('svg:line', { class: 'now', y1: MARGIN.top, y2: bottom, visibility: 'hidden' });
    this.cursorLine = h('svg:line', { class: 'cursor', y1: MARGIN.top, y2: bottom, visibility: 'hidden' });
    this.dots = h('svg:g', {});
    this.selection = h('svg:rect', { class: 'selection', y: MARGIN.top, height: bottom - MARGIN.top, visibility: 'hidden' });
    this.svg.replaceChildren(clip, ...parts, lines, this.nowLine, this.cursorLine, this.dots, this.selection);
    this.drawNow();
    this.drawCursor();
  }

  clipId() {
    Chart.ids = (Chart.ids || 0) + (this.id ? 0 : 1);
    this.id = this.id || `clip-${Chart.ids}`;
    return this.id;
  }

  shade({ from, until, label, kind }, right, bottom) {
    const x = Math.max(MARGIN.left, this.x(from));
    const end = Math.min(right, this.x(until));
    if (end <= x) return '';
    return h('svg:g', {}, h('svg:rect', { class: `shade ${kind || ''}`, x, y: MARGIN.top, width: end - x, height: bottom - MARGIN.top }),
      end - x > 8 * label.length * 0.8 ? h('svg:text', { class: 'shade-name', x: x + 5, y: MARGIN.top + 13 }, label) : null);
  }

  /** Of what is in view, with some room above. */
  range() {
    let low = Infinity;
    let high = -Infinity;
    for (const series of this.visible) {
      const [first, last] = span(series.xs, this.axis.view);
      for (let i = first; i <= last; i += 1) {
        for (const value of series.kind === 'band' ? [series.low[i], series.high[i]] : [series.ys[i]]) {
          if (value === null || value === undefined || (this.log && value <= 0)) continue;
          low = Math.min(low, value);
          high = Math.max(high, value);
        }
      }
    }
    if (low > high) return this.log ? [1, 10] : [0, 1];
    if (this.log) return [low / 1.15, Math.max(high, low * 1.5) * 1.15];
    return [Math.min(0, low), Math.max(high * 1.08, this.floor || 0) || 1];
  }

  path(series) {
    const [first, last] = span(series.xs, this.axis.view);
    const style = `--c: var(--${series.colour})`;
    const known = (i) => series.ys[i] !== null && series.ys[i] !== undefined && !(this.log && series.ys[i] <= 0);
    const point = (i, values) => `${this.x(series.xs[i]).toFixed(1)},${this.y(values[i]).toFixed(1)}`;
    if (series.kind === 'band') {
      const runs = stretches(first, last, (i) => series.high[i] !== null && (!this.log || series.low[i] > 0));
      return runs.map((run) => h('svg:polygon', { class: 'band', style, points: [...run.map((i) => point(i, series.high)), ...run.reverse().map((i) => point(i, series.low))].join(' ') }));
    }
    if (series.kind === 'bars') {
      const width = Math.max(1, this.x(series.width) - this.x(0) - 1);
      const bars = [];
      for (let i = first; i <= last; i += 1) {
        if (!(series.ys[i] > 0)) continue;
        const y = this.y(series.ys[i]);
        bars.push(h('svg:rect', { class: 'bar', style, x: this.x(series.xs[i]) - width / 2, y, width, height: Math.max(1, this.y(this.log ? 1 : 0) - y) }));
      }
      return bars;
    }
    return stretches(first, last, known).map((run) => {
      const points = run.map((i, place) => {
        if (series.kind !== 'step' || place === 0) return point(i, series.ys);
        return `${this.x(series.xs[i]).toFixed(1)},${this.y(series.ys[run[place - 1]]).toFixed(1)} ${point(i, series.ys)}`;
      });
      return run.length === 1
        ? h('svg:circle', { class: 'dot', style, cx: this.x(series.xs[run[0]]), cy: this.y(series.ys[run[0]]), r: 2 })
        : h('svg:polyline', { class: 'line', style, points: points.join(' '), 'stroke-dasharray': series.dash || null });
    });
  }

  drawNow() {
    if (!this.nowLine) return;
    const { now, view } = this.axis;
    const seen = now !== null && now >= view[0] && now <= view[1];
    this.nowLine.setAttribute('visibility', seen ? 'visible' : 'hidden');
    if (seen) for (const end of ['x1', 'x2']) this.nowLine.setAttribute(end, this.x(now));
  }

  drawCursor() {
    if (!this.cursorLine) return;
    const { cursor } = this.axis;
    const seen = cursor !== null && cursor >= this.axis.view[0] && cursor <= this.axis.view[1];
    this.cursorLine.setAttribute('visibility', seen ? 'visible' : 'hidden');
    this.tip.hidden = !(seen && this.isPointed);
    if (!seen) { this.dots.replaceChildren(); return; }
    const x = this.x(cursor);
    for (const end of ['x1', 'x2']) this.cursorLine.setAttribute(end, x);
    const read = this.readings(cursor);
    this.dots.replaceChildren(...read.filter((it) => it.y !== null).map((it) => h('svg:circle', { class: 'dot', style: `--c: var(--${it.colour})`, cx: x, cy: this.y(it.y), r: 3.5 })));
    if (this.tip.hidden) return;
    this.tip.replaceChildren(h('strong', {}, this.axis.format(cursor, true)), ...read.map((it) => h('div', {}, h('i', { style: `background: var(--${it.colour})` }), `${it.name} `, h('b', {}, it.text))));
    const wide = this.tip.offsetWidth;
    this.tip.style.left = `${x + wide + 18 > this.width ? Math.max(0, x - wide - 12) : x + 12}px`;
    this.tip.style.top = `${MARGIN.top}px`;
  }

  readings(value) {
    return this.visible.filter((series) => series.name).map((series) => {
      const i = series.kind === 'step' ? Math.max(0, lastNotAbove(series.xs, value)) : nearest(series.xs, value);
      const format = series.format || this.format;
      if (series.kind === 'band') return { name: series.name, colour: series.colour, y: null, text: `${format(series.low[i])} to ${format(series.high[i])}` };
      const y = series.ys[i];
      return { name: series.name, colour: series.colour, y: y === null || (this.log && y <= 0) ? null : y, text: y === null ? '–' : format(y) };
    });
  }

  listen() {
    let start = null;
    const at = (event) => this.x.invert(event.clientX - this.svg.getBoundingClientRect().left);
    const within = (value) => Math.min(this.axis.view[1], Math.max(this.axis.view[0], value));
    this.svg.addEventListener('pointermove', (event) => {
      if (!this.x) return;
      this.isPointed = true;
      this.axis.point(within(at(event)));
      if (start === null) return;
      const [a, b] = [start, within(at(event))].sort((one, other) => one - other).map((value) => this.x(value));
      for (const [name, value] of [['x', a], ['width', b - a], ['visibility', 'visible']]) this.selection.setAttribute(name, value);
    });
    this.svg.addEventListener('pointerdown', (event) => {
      if (event.pointerType !== 'mouse' || event.button !== 0 || !this.x) return;
      start = within(at(event));
      this.svg.setPointerCapture(event.pointerId);
    });
    const end = (event) => {
      if (start === null) return;
      const [a, b] = [start, within(at(event))].sort((one, other) => one - other);
      start = null;
      this.selection.setAttribute('visibility', 'hidden');
      if (this.x(b) - this.x(a) > 6) this.axis.show([a, b]);
      else if (this.onpick) this.onpick(a);
    };
    this.svg.addEventListener('pointerup', end);
    this.svg.addEventListener('pointercancel', () => { start = null; });
    this.svg.addEventListener('dblclick', () => this.axis.reset());
    const leave = () => { this.isPointed = false; this.axis.point(null); };
    this.svg.addEventListener('pointerleave', () => { if (start === null) leave(); });
    this.svg.addEventListener('blur', leave);
    this.svg.addEventListener('keydown', (event) => this.key_(event));
  }

  key_(event) {
    const { axis } = this;
    const xs = this.visible[0]?.xs || [];
    const move = (by) => {
      this.isPointed = true;
      const here = axis.cursor === null ? (axis.view[0] + axis.view[1]) / 2 : axis.cursor;
      const place = Math.min(xs.length - 1, Math.max(0, nearest(xs, here) + by));
      axis.point(Math.min(axis.view[1], Math.max(axis.view[0], xs[place])));
      this.said.textContent = `${axis.format(axis.cursor, true)}: ${this.readings(axis.cursor).map((it) => `${it.name} ${it.text}`).join(', ')}`;
    };
    const keys = {
      ArrowLeft: () => move(event.shiftKey ? -10 : -1), ArrowRight: () => move(event.shiftKey ? 10 : 1),
      '+': () => axis.zoom(0.5), '=': () => axis.zoom(0.5), '-': () => axis.zoom(2),
      0: () => axis.reset(), Escape: () => axis.reset(),
      Enter: () => { if (this.onpick && axis.cursor !== null) this.onpick(axis.cursor); },
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  }
}

/** First and last place of `xs` that matter for a view: those inside and one more at each side. */
function span(xs, [from, until]) {
  const first = Math.max(0, lastNotAbove(xs, from));
  return [first, Math.min(xs.length - 1, lastNotAbove(xs, until) + 1)];
}

/** Runs of places for which `known` holds. */
function stretches(first, last, known) {
  const runs = [];
  let run = [];
  for (let i = first; i <= last; i += 1) {
    if (known(i)) run.push(i);
    else if (run.length > 0) { runs.push(run); run = []; }
  }
  if (run.length > 0) runs.push(run);
  return runs;
}

function nearest(sorted, value) {
  const below = lastNotAbove(sorted, value);
  if (below < 0) return 0;
  if (below === sorted.length - 1) return below;
  return value - sorted[below] <= sorted[below + 1] - value ? below : below + 1;
}
