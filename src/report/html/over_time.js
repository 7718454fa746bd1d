'use strict';
// The charts over time, which share one stretch of it, and that of the percentiles.

function charts({ facts, results, records }, pick) {
  const end = Math.max(facts.duration_ns, ...records.series.map((series) => series.latency.p50.length * series.bin_s * 1e9));
  const axis = new Axis(0, end, (ns, exactly) => seconds(ns, exactly ? 2 : 1));
  const shades = [
    ...(facts.warm_up_ns > 0 ? [{ from: 0, until: facts.warm_up_ns, label: 'warm-up', kind: 'warm' }] : []),
    ...facts.faults.map((fault) => ({ from: fault.at_ns, until: fault.until_ns, label: fault.name, kind: 'fault' })),
  ];
  const chart = (spec) => new Chart({ axis, shades, onpick: pick, ...spec });
  const made = [
    chart({ title: 'Latency over time', note: binNote(records, 'of the requests due in it'), format: duration, log: false, series: latencySeries(records) }),
    chart({ title: 'Load and failures', note: 'requests per second', format: rate, series: loadSeries(records) }),
    chart({ title: 'In flight', note: `at all servers, ${records.series[0]?.bin_s > 1 ? 'highest second of each bin' : 'at the end of each second'}`, format: count, floor: 2, series: records.series.map((series) => ({
      name: WORLD[series.world], colour: series.world, dash: DASH[series.world], ys: series.in_flight, xs: ends(series, series.in_flight) })) }),
    ...perServer(facts, records, chart), ...scaling(results, chart),
  ];
  const reset = h('button', { type: 'button', disabled: true, onclick: () => axis.reset() }, 'Show all');
  axis.onview = () => { reset.disabled = !axis.isZoomed; shown.textContent = `${seconds(axis.view[0], 2)} to ${seconds(axis.view[1], 2)}`; };
  const shown = h('output', { class: 'clock' }, `${seconds(0)} to ${seconds(end, 2)}`);
  const bar = h('div', { class: 'controls' }, h('button', { type: 'button', 'aria-label': 'Zoom in', onclick: () => axis.zoom(0.5) }, '+'), h('button', { type: 'button', 'aria-label': 'Zoom out', onclick: () => axis.zoom(2) }, '−'), reset, shown,
    h('span', { class: 'note' }, 'Drag to zoom, click to see that instant in the replay.'));
  return { axis, section: section('charts', 'Over time', bar, made.map((it) => it.element)) };
}

function binNote(records, what) {
  const bin = records.series[0]?.bin_s || 1;
  return bin === 1 ? `each second, ${what}` : `each ${bin} s, ${what}`;
}

const middles = (series, values) => values.map((_, place) => (place + 0.5) * series.bin_s * 1e9);
const ends = (series, values) => values.map((_, place) => (place + 1) * series.bin_s * 1e9);

function latencySeries(records) {
  const several = records.series.length > 1;
  const wanted = [['p50', 'line'], ['p99', 'line']];
  const bands = records.series.map((series) => {
    const known = (values) => values.map((value, place) => (series.latency.requests[place] > 0 ? value : null));
    return { kind: 'band', name: `${WORLD[series.world]} p10–p90`, colour: series.world, hidden: several && series.world === 'live', xs: middles(series, series.latency.p10), ys: series.latency.p10, low: known(series.latency.p10), high: known(series.latency.p90) };
  });
  const lines = records.series.flatMap((series) => [...wanted, ['max', 'line']].map(([name]) => ({
    name: `${WORLD[series.world]} ${name}`, colour: name === 'p50' ? series.world : `${series.world}-2`, dash: DASH[series.world], hidden: name === 'max',
    xs: middles(series, series.latency[name]), ys: series.latency[name].map((value, place) => (series.latency.requests[place] > 0 ? value : null)),
  })));
  return [...bands, ...lines];
}

function loadSeries(records) {
  return [
    ...records.series.filter((_, place) => place === 0).map((series) => ({ name: 'due', colour: 'muted', kind: 'line', dash: '2 3', xs: middles(series, series.offered), ys: series.offered })),
    ...records.series.map((series) => ({ name: `${WORLD[series.world]} answered`, colour: series.world, dash: DASH[series.world], xs: middles(series, series.succeeded), ys: series.succeeded })),
    ...records.series.map((series, place, all) => ({ name: `${WORLD[series.world]} failed`, kind: 'bars', colour: series.world === 'live' && all.length > 1 ? 'bad-line' : 'c4', width: series.bin_s * (all.length > 1 ? 0.45e9 : 0.9e9),
      xs: middles(series, series.failed).map((x) => x + (all.length > 1 ? (place - 0.5) * series.bin_s * 0.45e9 : 0)), ys: series.failed })),
  ];
}

function perServer(facts, records, chart) {
  if (facts.servers.length < 2) return [];
  return records.series.map((series) => {
    const shown = [...series.servers].sort((a, b) => b[1].reduce((x, y) => x + y, 0) - a[1].reduce((x, y) => x + y, 0)).slice(0, 8).map(([place]) => place);
    const lines = series.servers.filter(([place]) => shown.includes(place));
    return chart({ title: `In flight per server, ${series.world === 'sim' ? 'model' : 'live'}`, format: count, floor: 2,
      note: facts.servers.length > 8 ? `the 8 busiest of ${facts.servers.length}` : null,
      series: lines.map(([place, values], row) => ({ name: facts.servers[place].name, colour: SERVER_COLOURS[row % 8], dash: DASH[series.world], xs: ends(series, values), ys: values })) });
  });
}

function scaling(results, chart) {
  const worlds = results.worlds.filter((world) => world.scaling);
  if (worlds.length === 0) return [];
  const utilization = (world) => {
    const every = Math.ceil(world.scaling.utilization.length / 1200);
    const kept = world.scaling.utilization.map((value, place) => [place, value]).filter(([place]) => place % every === 0);
    return { name: `${WORLD[world.world]} busy`, colour: world.world, dash: DASH[world.world], xs: kept.map(([place]) => (place + 1) * world.scaling.piece_ns), ys: kept.map(([, value]) => value) };
  };
  const first = worlds[0].scaling;
  const last = Math.max(...worlds.flatMap((world) => [world.scaling.utilization.length * world.scaling.piece_ns]));
  const mark = (name, value) => ({ name, colour: 'muted', dash: '2 3', xs: [0, last], ys: [value, value] });
  return [
    chart({ title: 'Ready instances', format: count, floor: 2, series: worlds.map((world) => ({
      kind: 'step', name: WORLD[world.world], colour: world.world, dash: DASH[world.world],
      xs: [...world.scaling.ready.map(([at]) => at), last], ys: [...world.scaling.ready.map(([, ready]) => ready), world.scaling.ready.at(-1)?.[1] ?? null] })) }),
    chart({ title: 'Busy workers of the ready instances', format: percent, floor: 1, series: [
      ...worlds.map(utilization), ...(first.up ? [mark('grows above', first.up)] : []), ...(first.down ? [mark('shrinks below', first.down)] : [])] }),
  ];
}

/** Quantile q is drawn at its number of nines, -log10(1 - q). */
function nines(q) {
  return -Math.log10(Math.max(1e-6, 1 - q));
}

function quantileChart(title, curves) {
  const deepest = Math.max(1, ...curves.flatMap((curve) => curve.points.map(([q]) => (q < 1 ? nines(q) : 0))));
  const axis = new Axis(0, deepest, (x) => `${trimmed(100 * (1 - 10 ** -x), 3)}%`);
  axis.ticks = () => [0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999].map((q) => [nines(q), `p${trimmed(q * 100, 3)}`]).filter(([x]) => x >= axis.view[0] && x <= axis.view[1]);
  return new Chart({ title, note: 'latency from the instant a request was due, by share of requests that were no slower', axis, format: duration, log: false,
    series: curves.map(({ name, colour, dash, points, hidden }) => {
      const known = points.filter(([q]) => q < 1);
      return { name, colour, dash, hidden, xs: known.map(([q]) => nines(q)), ys: known.map(([, ns]) => ns) };
    }) });
}
