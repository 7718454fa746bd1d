'use strict';
// The page: which sections there are, in which order.

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
