'use strict';
// Tables whose columns sort. A cell is text, or {text, value, node}: what is shown and what it is
// sorted by.

/** An element; `on…` attributes are listeners, null and false children are left out. */
function h(tag, attributes, ...children) {
  const element = tag.includes(':') ? document.createElementNS('http://www.w3.org/2000/svg', tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Numbers by size, texts as people sort them (`b-2` before `b-10`), what is missing last. */
function compareCells(one, other) {
  const [a, b] = [sortKey(one), sortKey(other)];
  const [noA, noB] = [a === null, b === null];
  if (noA || noB) return Number(noA) - Number(noB);
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), 'en', { numeric: true });
}

function sortKey(cell) {
  const key = cell !== null && typeof cell === 'object' ? (cell.value ?? cell.text) : cell;
  return key === undefined || key === '' || key === '–' || Number.isNaN(key) ? null : key;
}

/** The rows in order of a column; those alike stay as they were, those without a value last. */
function sortedRows(rows, column, descending) {
  const missing = (row) => sortKey(row[column]) === null;
  const order = (a, b) => {
    const by = compareCells(a[column], b[column]);
    return descending && !missing(a) && !missing(b) ? -by : by;
  };
  return [...rows].sort(order);
}

/** Long names break into a few lines, and not into a column of syllables. */
function rowNameWidth({ node, text }) {
  const length = Math.min(24, String(text ?? '').length);
  return node || length < 10 ? null : `min-width: min(${length}ch, 44vw)`;
}

/** columns: [{title, text: true for text, plain: true for one that does not sort}]. */
function table({ caption, columns, rows, most = 200, sort = true }) {
  const body = h('tbody');
  let shown = rows;
  const draw = () => {
    body.replaceChildren(...shown.slice(0, most).map((row) => h('tr', {}, row.map((cell, place) => {
      const value = cell !== null && typeof cell === 'object' ? cell : { text: cell };
      const attributes = { class: [columns[place].text ? '' : 'number', value.tone || ''].join(' ').trim() || null };
      return place === 0 && columns[0].text
        ? h('th', { scope: 'row', ...attributes, style: rowNameWidth(value) }, value.node || value.text)
        : h('td', attributes, value.node || value.text);
    }))));
  };
  const heads = columns.map((column, place) => {
    const attributes = { scope: 'col', class: column.text ? null : 'number' };
    if (!sort || column.plain) return h('th', attributes, column.title || h('span', { class: 'unseen' }, 'difference'));
    const head = h('th', attributes, h('button', { type: 'button', class: 'sort', onclick: () => {
      const descending = head.getAttribute('aria-sort') === 'ascending';
      heads.forEach((other) => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
      shown = sortedRows(rows, place, descending);
      draw();
    } }, column.title));
    return head;
  });
  draw();
  const more = rows.length > most ? h('p', { class: 'note' }, `${count(rows.length - most)} more rows are in the files.`) : null;
  return h('div', {}, h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': `Table: ${caption}` },
    h('table', {}, h('caption', { class: 'unseen' }, caption), h('thead', {}, h('tr', {}, heads)), body)), more);
}
