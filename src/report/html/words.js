'use strict';
// What the page's sections have in common: names and colours of the worlds, signs, cells.

const WORLD = { sim: 'Model', live: 'Live' };
const DASH = { sim: null, live: '6 4' };
const SERVER_COLOURS = ['c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7', 'c8'];

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

function estimate({ value, low, high }) {
  const room = low === null || high === null ? '' : ` ± ${duration((high - low) / 2)}`;
  return { value, text: duration(value) + room };
}

function relativeCell(relative) {
  return { value: Math.abs(relative), text: apart(relative) };
}
