'use strict';
// Colours for a scenario. A line is cut into comment, header, key, string, number and the rest.

const TOML = /(#.*$)|(^\s*\[\[?[^\]]*\]\]?)|([A-Za-z0-9_.-]+(?=\s*=))|("(?:[^"\\]|\\.)*"|'[^']*')|\b(true|false)\b|([+-]?\d[\d_.]*(?:[eE][+-]?\d+)?)/g;
const KINDS = ['comment', 'header', 'key', 'string', 'word', 'number'];

/** The pieces of a line: [kind or null, text]. Joined they are the line. */
function tomlPieces(line) {
  const pieces = [];
  let end = 0;
  for (const match of line.matchAll(TOML)) {
    if (match.index > end) pieces.push([null, line.slice(end, match.index)]);
    const kind = KINDS[match.slice(1).findIndex((group) => group !== undefined)];
    pieces.push([kind, match[0]]);
    end = match.index + match[0].length;
  }
  if (end < line.length) pieces.push([null, line.slice(end)]);
  return pieces;
}

function tomlCode(text) {
  const lines = text.replace(/\n$/, '').split('\n');
  return h('pre', { class: 'code', tabindex: 0, role: 'region', 'aria-label': 'Text of the scenario' }, h('code', {}, lines.map((line) => h('span', { class: 'line' },
    tomlPieces(line).map(([kind, piece]) => (kind ? h('span', { class: `toml-${kind}` }, piece) : piece)), '\n'))));
}
