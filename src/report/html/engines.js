'use strict';
// Engines side by side.

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
