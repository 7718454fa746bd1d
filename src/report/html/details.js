'use strict';
// The sections of numbers: latency, servers, faults and parts, the autoscaler, the model held
// against the live world, validity, events, and what the run was made of.

const QUANTILES = [['mean', 'mean'], ['p50', 'p50'], ['p90', 'p90'], ['p99', 'p99'], ['p999', 'p99.9'], ['max', 'max']];

function distribution({ results }) {
  const curves = results.worlds.map((world) => ({ name: WORLD[world.world], colour: world.world, dash: DASH[world.world], points: world.curve }));
  const worlds = results.worlds;
  const columns = [{ title: 'latency', text: true }, ...worlds.map((world) => ({ title: WORLD[world.world] })), ...(worlds.length === 2 ? [{ title: 'model − live' }] : [])];
  const rows = QUANTILES.map(([key, name]) => [{ text: name, value: QUANTILES.findIndex(([it]) => it === key) }, ...worlds.map((world) => estimate(world.latency[key])),
    ...(worlds.length === 2 ? [relativeCell(worlds[0].latency[key].value / worlds[1].latency[key].value - 1)] : [])]);
  return section('latency', 'Latency', quantileChart('Percentiles', curves).element, table({ caption: 'Latency of each world', columns, rows }));
}

function servers({ results, facts }) {
  const worlds = results.worlds;
  const names = facts.servers.map((server) => server.name);
  const most = Math.max(0.01, ...worlds.flatMap((world) => world.shares.flatMap((share) => [share.share, share.expected])));
  const bars = names.length > 60 ? null : h('div', { class: 'bars', role: 'img', 'aria-label': 'Share of the requests per server; the table below has the numbers' }, names.map((name, place) => h('div', { class: 'bar-row' }, h('span', { class: 'bar-name' }, name), h('div', {}, worlds.map((world) => {
    const share = world.shares[place];
    return share ? h('div', { class: 'bar-line' }, h('i', { class: world.world, style: `width: ${(share.share / most) * 100}%` }), h('span', {}, percent(share.share))) : null;
  }), worlds[0].shares[place]?.expected > 0 ? h('i', { class: 'expected', style: `left: calc((100% - 58px) * ${worlds[0].shares[place].expected / most})`, title: `by weight ${percent(worlds[0].shares[place].expected)}` }) : null))));
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
