'use strict';
// The page's first words: whether the run may be believed, its numbers at a glance, its checks.

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
    if (!noise) reasons.push(['plain', ['One live round: how far reality repeats itself is not known. ', h('code', { class: 'whole' }, '--rounds 3'), ' tells.']]);
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
    h('div', { class: `verdict ${tone}` }, h('p', { class: 'answer' }, word), h('ul', {}, reasons.map(([kind, text]) => h('li', { class: kind }, badge(kind, ''), h('span', {}, text))))),
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
