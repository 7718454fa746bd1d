'use strict';
// The page: what is shown, in which order. Its first words answer whether the run may be believed.

const WORLD = { sim: 'Model', live: 'Live' };
const DASH = { sim: null, live: '6 4' };
const SERVER_COLOURS = ['c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7', 'c8'];
const QUANTILES = [['mean', 'mean'], ['p50', 'p50'], ['p90', 'p90'], ['p99', 'p99'], ['p999', 'p99.9'], ['max', 'max']];

const worldOf = (results, name) => results.worlds.find((world) => world.world === name);
const perRun = (world, value) => value / Math.max(1, world.replications);

function section(id, title, ...content) {
  return h('section', { id, 'aria-labelledby': `${id}-title` }, h('h2', { id: `${id}-title` }, title), ...content);
}

/** A verdict's sign and word: never by colour alone. */
function badge(tone, word) {
  const sign = { good: '✓', bad: '✗', warn: '!', plain: '·' }[tone];
  return h('span', { class: `badge ${tone}` }, h('span', { 'aria-hidden': 'true' }, sign), ` ${word}`);
}

// ——— May I believe it?

/** The answer in a word, and its reasons: [tone, text]. */
function belief({ manifest, results }) {
  const reasons = [];
  const { validity, comparison } = results;
  if (results.partial) reasons.push(['bad', 'It was interrupted before its end: everything here is of the part that ran.']);
  if (validity) {
    const broken = validity.items.filter((item) => !item.held);
    if (broken.length === 0) reasons.push(['good', `The live measurement is valid: all ${validity.items.length} conditions hold.`]);
    else reasons.push(['bad', `The live measurement is not valid: ${broken.map((item) => `${item.name} ${item.measured} (limit ${item.limit})`).join('; ')}.`]);
  } else {
    reasons.push(['warn', 'The model ran alone: nothing here was measured.']);
  }
  if (comparison) {
    const of = (name) => comparison.quantiles.find((quantile) => quantile.name === name);
    const worst = ['p50', 'p90', 'p99'].map(of).filter(Boolean).reduce((a, b) => (Math.abs(b.relative) > Math.abs(a.relative) ? b : a));
    const near = Math.abs(worst.relative) <= 0.03;
    const noise = comparison.repeatability.find((quantile) => quantile.name === worst.name);
    const repeats = noise ? ` Two live rounds differ by up to ${percent(Math.abs(noise.relative))} there.` : '';
    reasons.push([near ? 'good' : 'warn', `The model is ${near ? 'within' : 'off by'} ${percent(Math.abs(worst.relative))} at ${['p50', 'p90', 'p99'].length > 1 ? `p50, p90 and p99 (most at ${worst.name})` : worst.name}.${repeats}`]);
    if (!noise) reasons.push(['plain', 'One live round: how far reality repeats itself is not known. --rounds 3 tells.']);
  }
  if (!manifest.costs && worldOf(results, 'sim')) reasons.push(['plain', 'The model ran without a calibration: what this host adds to a request counts as zero.']);
  for (const world of results.worlds) for (const warning of world.warnings) reasons.push(['warn', `${WORLD[world.world]}: ${warning}`]);
  for (const proof of manifest.faults.filter((it) => !it.bit)) reasons.push(['bad', `The fault ${proof.fault} had no effect.`]);
  const tone = reasons.some(([it]) => it === 'bad') ? 'bad' : !validity ? 'warn' : 'good';
  const word = { bad: 'No', warn: 'It is a prediction', good: 'Yes' }[tone];
  return { tone, word, reasons };
}

function summary(part) {
  const { results } = part;
  const { tone, word, reasons } = belief(part);
  const failed = results.checks.filter((check) => check.verdict === 'failed').length;
  const open = results.checks.filter((check) => check.verdict === 'undecided').length;
  const checks = results.checks.length === 0 ? null : h('p', { class: 'checks-line' },
    badge(failed > 0 ? 'bad' : open > 0 ? 'warn' : 'good', failed > 0 ? `${failed} of ${results.checks.length} checks failed` : open > 0 ? `${open} of ${results.checks.length} checks undecided` : `all ${results.checks.length} checks held`));
  return section('summary', 'May I believe it?',
    h('div', { class: `verdict ${tone}` }, h('p', { class: 'answer' }, word), h('ul', {}, reasons.map(([kind, text]) => h('li', { class: kind }, badge(kind, ''), text)))),
    checks, h('div', { class: 'tiles' }, tiles(results)));
}

function tiles(results) {
  const [sim, live] = ['sim', 'live'].map((name) => worldOf(results, name));
  const tile = (name, of, format, difference) => {
    const values = [sim, live].filter(Boolean);
    return h('div', { class: 'tile' }, h('h3', {}, name), values.map((world) => h('p', { class: world.world }, h('span', { class: 'who' }, WORLD[world.world]), h('b', {}, format(of(world))))),
      sim && live ? h('p', { class: 'apart' }, difference(of(sim), of(live))) : null);
  };
  const relative = (a, b) => `model ${apart(a / b - 1)}`;
  const absolute = (a, b) => `model ${signed(a - b, 1, '')}`;
  return [
    tile('p50', (w) => w.latency.p50.value, duration, relative), tile('p99', (w) => w.latency.p99.value, duration, relative),
    tile('failed', (w) => perRun(w, w.failed), count, absolute), tile('retried', (w) => perRun(w, w.retried), count, absolute),
    tile('goodput', (w) => w.goodput, rate, relative),
  ];
}

// ——— Checks

function checks({ results, manifest }) {
  if (results.checks.length === 0) return null;
  const tone = { held: 'good', failed: 'bad', undecided: 'warn' };
  const order = { failed: 0, undecided: 1, held: 2 };
  const rows = results.checks.map((check) => [
    { value: order[check.verdict], node: badge(tone[check.verdict], check.verdict) },
    { text: check.text, node: h('code', {}, check.text) }, check.world ? WORLD[check.world] : 'both', check.measured,
  ]);
  const bad = results.checks.find((check) => check.verdict === 'failed');
  return section('checks', 'Checks',
    table({ caption: 'Checks', columns: [{ title: 'verdict', text: true }, { title: 'check', text: true }, { title: 'world', text: true }, { title: 'measured', text: true }], rows }),
    bad ? h('p', { class: 'note' }, 'Why it failed: ', h('code', {}, `lab explain results/${results.scenario}/${manifest.run} '${bad.text}'`)) : null);
}

// ——— Charts

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

function distribution({ results }) {
  const curves = results.worlds.map((world) => ({ name: WORLD[world.world], colour: world.world, dash: DASH[world.world], points: world.curve }));
  const worlds = results.worlds;
  const columns = [{ title: 'latency', text: true }, ...worlds.map((world) => ({ title: WORLD[world.world] })), ...(worlds.length === 2 ? [{ title: 'model − live' }] : [])];
  const rows = QUANTILES.map(([key, name]) => [{ text: name, value: QUANTILES.findIndex(([it]) => it === key) }, ...worlds.map((world) => estimate(world.latency[key])),
    ...(worlds.length === 2 ? [relativeCell(worlds[0].latency[key].value / worlds[1].latency[key].value - 1)] : [])]);
  return section('latency', 'Latency', quantileChart('Percentiles', curves).element, table({ caption: 'Latency of each world', columns, rows }));
}

function estimate({ value, low, high }) {
  const room = low === null || high === null ? '' : ` ± ${duration((high - low) / 2)}`;
  return { value, text: duration(value) + room };
}

function relativeCell(relative) {
  return { value: Math.abs(relative), text: apart(relative) };
}

// ——— Servers, faults, parts

function servers({ results, facts }) {
  const worlds = results.worlds;
  const names = facts.servers.map((server) => server.name);
  const most = Math.max(0.01, ...worlds.flatMap((world) => world.shares.map((share) => share.share)));
  const bars = names.length > 60 ? null : h('div', { class: 'bars', role: 'img', 'aria-label': 'Share of the requests per server; the table below has the numbers' }, names.map((name, place) => h('div', { class: 'bar-row' }, h('span', { class: 'bar-name' }, name), h('div', {}, worlds.map((world) => {
    const share = world.shares[place];
    return share ? h('div', { class: 'bar-line' }, h('i', { class: world.world, style: `width: ${(share.share / most) * 82}%` }), h('span', {}, percent(share.share))) : null;
  }), worlds[0].shares[place]?.expected > 0 ? h('i', { class: 'expected', style: `left: ${Math.min(100, (worlds[0].shares[place].expected / most) * 82)}%`, title: `by weight ${percent(worlds[0].shares[place].expected)}` }) : null))));
  const columns = [{ title: 'server', text: true }, { title: 'weight' }, { title: 'by weight' }, ...worlds.map((world) => ({ title: WORLD[world.world] })), ...(worlds.length === 2 ? [{ title: 'model − live' }] : []), ...worlds.map((world) => ({ title: `${WORLD[world.world]} busy` })), ...worlds.map((world) => ({ title: `${WORLD[world.world]} requests` }))];
  const rows = worlds[0].shares.map((share, place) => {
    const all = worlds.map((world) => world.shares[place]).filter(Boolean);
    return [share.name, { value: share.weight, text: `${share.weight}${share.backup ? ' backup' : ''}` }, { value: share.expected, text: percent(share.expected) },
      ...all.map((it) => ({ value: it.share, text: percent(it.share) })), ...(all.length === 2 ? [{ value: Math.abs(all[0].share - all[1].share), text: signed((all[0].share - all[1].share) * 100, 1, ' pt') }] : []),
      ...all.map((it) => ({ value: it.utilisation, text: percent(it.utilisation) })), ...all.map((it) => ({ value: it.requests, text: count(it.requests) }))];
  });
  return section('servers', 'Servers', h('ul', { class: 'legend plain' }, worlds.map((world) => h('li', {}, h('i', { class: `dot ${world.world}` }), WORLD[world.world])), h('li', {}, h('i', { class: 'tick-key' }), 'by weight')), bars, table({ caption: 'Servers', columns, rows }),
    worlds.map((world) => h('p', { class: 'note' }, `${WORLD[world.world]}: Jain’s index ${world.jain.toFixed(4)}, utilisation max/mean ${world.utilisation_max_over_mean.toFixed(2)}, p95/mean ${world.utilisation_p95_over_mean.toFixed(2)}`)));
}

function parts({ results, manifest }) {
  const worlds = results.worlds;
  const [first] = worlds;
  const groups = first.groups.filter((group) => !['class', 'stage'].includes(group.kind) || first.groups.filter((it) => it.kind === group.kind).length > 1);
  const content = [];
  if (first.faults.length > 0) {
    const columns = [{ title: 'fault', text: true }, { title: 'from' }, { title: 'to' }, ...worlds.flatMap((world) => [{ title: `${WORLD[world.world]} failed` }, { title: `${WORLD[world.world]} failover` }])];
    const rows = first.faults.map((fault, place) => [fault.fault, { value: fault.at_ns, text: seconds(fault.at_ns) }, { value: fault.until_ns, text: seconds(fault.until_ns) }, ...worlds.flatMap((world) => [{ value: world.faults[place].failed, text: count(world.faults[place].failed) }, { value: world.faults[place].failover_ns, text: duration(world.faults[place].failover_ns) }])]);
    content.push(h('h3', {}, 'Faults'), table({ caption: 'Faults', columns, rows }));
  }
  if (manifest.faults.length > 0) {
    content.push(table({ caption: 'What each fault was seen to do in the live world', columns: [{ title: 'fault', text: true }, { title: 'round' }, { title: 'bit', text: true }, { title: 'before', text: true }, { title: 'during', text: true }, { title: 'after', text: true }],
      rows: manifest.faults.map((proof) => [proof.fault, proof.round + 1, { node: badge(proof.bit ? 'good' : 'bad', proof.bit ? 'yes' : 'no'), value: Number(proof.bit) }, proof.before, proof.during, proof.after]) }));
  }
  if (groups.length > 0) {
    const columns = [{ title: 'part', text: true }, ...worlds.flatMap((world) => ['requests', 'failed', 'p50', 'p99'].map((name) => ({ title: `${WORLD[world.world]} ${name}` })))];
    const rows = first.groups.map((group, place) => [group, place]).filter(([group]) => groups.includes(group)).map(([group, place]) => [{ text: `${group.kind} ${group.name}`, value: place }, ...worlds.flatMap((world) => {
      const it = world.groups[place];
      return it ? [{ value: it.requests, text: count(it.requests) }, { value: it.failed, text: count(it.failed) }, { value: it.latency.p50.value, text: duration(it.latency.p50.value) }, { value: it.latency.p99.value, text: duration(it.latency.p99.value) }] : ['', '', '', ''];
    })]);
    content.push(h('h3', {}, 'Parts of the run'), table({ caption: 'Parts of the run', columns, rows }));
  }
  const causes = worlds.flatMap((world) => world.failures.map(([cause, number]) => [WORLD[world.world], cause, number]));
  if (causes.length > 0) content.push(h('h3', {}, 'Why requests failed'), table({ caption: 'Failures by cause', columns: [{ title: 'world', text: true }, { title: 'cause', text: true }, { title: 'requests' }], rows: causes.map(([world, cause, number]) => [world, cause, { value: number, text: count(number) }]) }));
  return content.length > 0 ? section('parts', 'Faults and parts', content) : null;
}

function autoscaler({ results }) {
  const worlds = results.worlds.filter((world) => world.scaling);
  if (worlds.length === 0) return null;
  const row = (name, of, format) => [name, ...worlds.map((world) => ({ value: of(world.scaling), text: format(of(world.scaling)) }))];
  const events = worlds.flatMap((world) => world.scaling.events.map((event) => [{ value: event.at_ns, text: seconds(event.at_ns, 2) }, WORLD[world.world], `${event.from} → ${event.to}`, event.flap ? { node: badge('warn', 'flap'), value: 1 } : '', event.reason]));
  return section('autoscaler', 'Autoscaler',
    table({ caption: 'Autoscaler', sort: false, columns: [{ title: '', text: true, plain: true }, ...worlds.map((world) => ({ title: WORLD[world.world] }))], rows: [
      row('scaling events', (it) => it.scale_events, (it) => trimmed(it, 1)), row('flaps per hour', (it) => it.flaps_per_hour, (it) => trimmed(it, 1)),
      row('instance-seconds', (it) => it.instance_seconds, (it) => trimmed(it, 1)), row('seconds that broke the SLO', (it) => it.slo_violated_seconds, (it) => (it === null ? '–' : count(it)))] }),
    worlds.flatMap((world) => world.scaling.steps.map((step) => h('p', { class: 'note' }, `${WORLD[world.world]}, ${step.stage}: capacity followed the step after ${duration((step.metric_lag_ns ?? 0) + step.decision_ns + step.start_up_ns)} (metric ${duration(step.metric_lag_ns)}, decisions ${duration(step.decision_ns)}, start-up ${duration(step.start_up_ns)}).`))),
    table({ caption: 'Scaling events', columns: [{ title: 'at' }, { title: 'world', text: true }, { title: 'change', text: true }, { title: 'flap', text: true }, { title: 'why', text: true }], rows: events }));
}

// ——— Model against live, validity, events, set-up

function truth({ results }) {
  const { comparison } = results;
  if (!comparison) return null;
  const columns = [{ title: 'model', text: true }, ...comparison.quantiles.map((quantile) => ({ title: quantile.name }))];
  const rows = comparison.attribution.map((it) => [{ text: it.model, node: h('span', { title: it.meaning }, it.model) }, ...it.differences.map((difference) => relativeCell(difference.relative))]);
  if (comparison.repeatability.length > 0) rows.push(['live against itself', ...comparison.repeatability.map((difference) => relativeCell(difference.relative))]);
  const { paired } = comparison;
  return section('truth', 'Model against live', table({ caption: 'Model against live', columns, rows }),
    comparison.attribution.map((it) => h('p', { class: 'note' }, h('b', {}, it.model), `: ${it.meaning}`)),
    h('p', {}, `Distance of the distributions: Kolmogorov–Smirnov ${comparison.kolmogorov_smirnov.toFixed(4)}, Wasserstein ${duration(comparison.wasserstein_ns)}; shares at most ${comparison.share_points.toFixed(1)} points apart.`),
    paired ? h('p', {}, `${count(paired.pairs)} pairs of the same request: live − model ${duration(paired.mean_ns.value)} in the mean, ${duration(paired.p50_ns)} in the median; ${percent(paired.same_peer)} at the same server.`) : null);
}

function validity({ results }) {
  if (!results.validity) return null;
  const rows = results.validity.items.map((item) => [{ value: Number(item.held), node: badge(item.held ? 'good' : 'bad', item.held ? 'held' : 'broken') }, item.name, item.measured, item.limit]);
  return section('validity', 'Validity of the measurement', table({ caption: 'Conditions of a valid measurement', columns: [{ title: 'verdict', text: true }, { title: 'condition', text: true }, { title: 'measured', text: true }, { title: 'limit', text: true }], rows }));
}

function events({ records }, pick) {
  if (records.events.length === 0) return null;
  const rows = records.events.map((event) => [
    { value: event.at_ns, node: pick ? h('button', { type: 'button', class: 'small', 'aria-label': `Replay at ${seconds(event.at_ns, 3)}`, onclick: () => pick(event.at_ns) }, seconds(event.at_ns, 3)) : seconds(event.at_ns, 3) },
    WORLD[event.world], event.kind.replaceAll('_', ' '), event.subject, event.reason]);
  return section('events', 'Events', table({ caption: 'Events of the first replication and round', columns: [{ title: 'at' }, { title: 'world', text: true }, { title: 'what', text: true }, { title: 'who', text: true }, { title: 'why', text: true }], rows }),
    records.events_left_out > 0 ? h('p', { class: 'note' }, `${count(records.events_left_out)} later events are in events.parquet.`) : null);
}

function setup({ manifest, results, facts }) {
  const { host, engine, costs, scenario } = manifest;
  const list = (pairs) => h('dl', { class: 'facts' }, pairs.filter(([, value]) => value !== '' && value !== null && value !== undefined).map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
  const cost = (it) => `${duration(it.median_ns)} (p95 ${duration(it.quantiles_ns[19])}, ${count(it.samples)} measurements)`;
  const measured = worldOf(results, 'live');
  return section('setup', 'Host, engine, calibration',
    h('div', { class: 'columns' },
      h('div', {}, h('h3', {}, 'Host'), list([['name', host.name], ['cores', host.cores], ['processor', host.cpu_model], ['kernel', host.kernel], ['memory', host.memory_bytes > 0 ? `${trimmed(host.memory_bytes / 2 ** 30, 1)} GiB` : ''], ['real-time priority', manifest.rounds > 0 ? (manifest.real_time ? 'yes' : 'no') : ''], ['lab', manifest.version]])),
      h('div', {}, h('h3', {}, 'Engine'), list([['program', `${engine.name} ${engine.version}`.trim()], ['algorithm', facts.algorithm], ...engine.settings.filter(([name]) => name !== 'algorithm'), ['configuration', engine.config_sha256 ? h('code', {}, engine.config_sha256.slice(0, 16)) : '']]),
        engine.statistics.length > 0 ? h('details', {}, h('summary', {}, 'Its own statistics'), list(engine.statistics)) : null),
      h('div', {}, h('h3', {}, 'Calibration'), costs ? list([['from', costs.from], ['connection', cost(costs.connection)], ['hop', cost(costs.hop)], ['occupation of a worker', cost(costs.occupation)]]) : h('p', {}, `None: the model takes what this host adds to a request as zero.${measured ? ' `lab calibrate` measures it.' : ''}`))),
    h('h3', { id: 'scenario' }, 'Scenario'),
    scenario.overrides.length > 0 ? h('p', {}, 'Replaced on the command line: ', scenario.overrides.map(([key, value], place) => [place > 0 ? ', ' : '', h('code', {}, `${key} = ${value}`)])) : null,
    tomlCode(scenario.text), h('p', { class: 'note' }, `${scenario.path}, SHA-256 `, h('code', { class: 'hash' }, scenario.sha256)));
}

// ——— Engines

const ENGINE_UNITS = {
  latency: [duration, apart], rate: [rate, apart], count: [(value) => trimmed(value, 1), (value) => signed(value, 1, '')],
  share: [percent, (value) => signed(value * 100, 1, ' pt')], time: [(value) => (value === 0 ? '–' : duration(value)), (value) => (value === 0 ? '0' : `${value < 0 ? '−' : '+'}${duration(Math.abs(value))}`)],
};
const NEARNESS = { goal: ['good', 'within its goal'], repeatability: ['warn', 'within what live rounds differ by'], beyond: ['bad', 'beyond'] };

function engines(data) {
  const { labels, statistics, order, gaps } = data.engines;
  const columns = [{ title: 'statistic', text: true }, ...labels.flatMap((label) => [{ title: `${label} live` }, { title: 'model − live' }])];
  const rows = statistics.map((statistic, place) => {
    const [show, differ] = ENGINE_UNITS[statistic.unit];
    return [{ text: statistic.name, value: place }, ...statistic.cells.flatMap((cell) => {
      const near = cell.nearness ? NEARNESS[cell.nearness] : null;
      const text = cell.difference === null ? '–' : differ(cell.difference);
      return [{ value: cell.live ?? cell.sim, text: cell.live === null ? '–' : show(cell.live) }, { value: cell.difference === null ? null : Math.abs(cell.difference), text, node: near ? h('span', { title: near[1] }, badge(near[0], text)) : text }];
    })];
  });
  const curves = data.parts.flatMap((part, place) => part.results.worlds.map((world) => ({ name: `${part.label} ${world.world === 'sim' ? 'model' : 'live'}`, colour: SERVER_COLOURS[place % 8], dash: world.world === 'sim' ? '6 4' : null, points: world.curve, hidden: world.world === 'sim' && part.results.worlds.length > 1 })));
  return section('engines', 'Engines side by side', quantileChart('Percentiles of each engine', curves).element, table({ caption: 'Engines', columns, rows }),
    h('p', { class: 'note' }, '✓ the model is within its goal of the live world; ! not, but within what live rounds differ by; ✗ neither.'),
    order.length > 0 ? h('p', { class: 'note' }, `Order of the rounds: ${order.map((round) => round.join(', ')).join('; ')}.`) : null,
    gaps.map((list, place) => (list.length > 0 ? h('details', {}, h('summary', {}, `What ${labels[place]} does otherwise (${list.length})`), h('ul', {}, list.map((gap) => h('li', {}, h('code', {}, gap.key), `: ${gap.why}${gap.instead ? `; instead: ${gap.instead}` : ''}`)))) : null)));
}

// ——— All of it

function partContent(part) {
  const pick = (at) => {
    if (!stage) return;
    stage.pause();
    stage.seek(at);
    document.getElementById('replay').scrollIntoView({ behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
  };
  const over = charts(part, pick);
  const some = part.records.replays.some((replay) => replay.requests > 0);
  let spoken = 0;
  const stage = some ? new Stage(part.facts, part.records, (at) => {
    const now = performance.now();
    if (now - spoken > 60) { spoken = now; over.axis.at(at); }
  }) : null;
  window.lab = { part, stage, axis: over.axis };
  return [
    summary(part), checks(part), stage ? section('replay', 'Replay', stage.element) : null, over.section, distribution(part), servers(part), parts(part), autoscaler(part),
    truth(part), validity(part), events(part, stage ? pick : null), setup(part),
  ].filter(Boolean);
}

function contents(sections) {
  const links = () => sections.map((it) => h('li', {}, h('a', { href: `#${it.id}` }, it.querySelector('h2').textContent)));
  return [h('nav', { class: 'side', 'aria-label': 'Contents' }, h('ul', {}, links())), h('details', { class: 'small-contents' }, h('summary', {}, 'Contents'), h('nav', { 'aria-label': 'Contents of the page' }, h('ul', {}, links())))];
}

function head(data) {
  const { results, manifest } = data.parts[0];
  const when = manifest.started.replace('T', ' ').replace('Z', ' UTC');
  const who = data.engines ? data.engines.labels.join(', ') : `${manifest.engine.name} ${manifest.engine.version}`.trim();
  const rounds = [manifest.replications > 0 ? `${manifest.replications} × model` : '', manifest.rounds > 0 ? `${manifest.rounds} × live` : ''].filter(Boolean).join(', ');
  return h('header', { class: 'top' }, h('p', { class: 'brand' }, `lab ${data.version}`), h('h1', {}, results.scenario, results.partial ? [' ', badge('bad', 'partial')] : null),
    h('p', { class: 'meta' }, [when, `seed ${results.seed}`, who, rounds, `run ${results.run}`].filter(Boolean).map((it) => h('span', {}, it))));
}

function draw(data) {
  const body = h(data.engines ? 'div' : 'main', {});
  const show = (part, before) => {
    const sections = [...before, ...partContent(part)];
    body.replaceChildren(...sections.filter((it) => !before.includes(it)));
    return sections;
  };
  if (!data.engines) {
    const sections = show(data.parts[0], []);
    const [side, small] = contents(sections);
    document.body.append(head(data), small, h('div', { class: 'page' }, side, body));
    return;
  }
  const over = engines(data);
  const tabs = data.parts.map((part, place) => h('button', { type: 'button', 'aria-pressed': String(place === 0), onclick: () => {
    if (window.lab.stage) window.lab.stage.pause();
    tabs.forEach((tab, other) => tab.setAttribute('aria-pressed', String(other === place)));
    show(part, []);
  } }, part.label));
  const sections = show(data.parts[0], []);
  const [side, small] = contents([over, ...sections]);
  document.body.append(head(data), small, h('div', { class: 'page' }, side, h('main', { class: 'all' }, over, h('div', { class: 'tabs', role: 'group', 'aria-label': 'Engine' }, h('span', { class: 'note' }, 'In detail:'), tabs), body)));
}

if (typeof document !== 'undefined' && document.getElementById) {
  document.addEventListener('DOMContentLoaded', () => draw(JSON.parse(document.getElementById('data').textContent)));
}
