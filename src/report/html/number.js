'use strict';
// Numbers for people: the same units and digits as in the terminal.

/** A duration in nanoseconds with three or four digits, such as `295.6 ms`. */
function duration(ns) {
  if (ns === null || ns === undefined || Number.isNaN(ns)) return '–';
  if (ns === 0) return '0';
  const size = Math.abs(ns);
  if (size < 1e3) return `${trimmed(ns, 0)} ns`;
  if (size < 1e6) return `${trimmed(ns / 1e3, 2)} µs`;
  if (size < 1e9) return `${trimmed(ns / 1e6, size < 1e7 ? 2 : 1)} ms`;
  if (size < 60e9) return `${trimmed(ns / 1e9, 2)} s`;
  const minutes = Math.floor(size / 60e9);
  return `${ns < 0 ? '−' : ''}${minutes} min ${trimmed((size - minutes * 60e9) / 1e9, 0)} s`;
}

function trimmed(value, decimals) {
  return value.toFixed(decimals).replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '').replace('-', '−');
}

/** A whole number with its thousands apart. */
function count(value) {
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, ' ').replace('-', '−');
}

function percent(share, decimals = 1) {
  return `${trimmed(share * 100, decimals)}%`;
}

function signed(value, decimals, unit) {
  const text = trimmed(Math.abs(value), decimals);
  if (text === '0') return `0${unit}`;
  return `${value < 0 ? '−' : '+'}${text}${unit}`;
}

/** How far the model is from what was measured, in percent. */
function apart(relative) {
  return Number.isFinite(relative) ? signed(relative * 100, 1, '%') : '–';
}

function rate(perSecond) {
  const digits = perSecond < 10 ? 2 : perSecond < 1000 ? 1 : 0;
  return perSecond >= 1e4 ? `${count(perSecond)}/s` : `${trimmed(perSecond, digits)}/s`;
}

/** Seconds on an axis or a clock, from nanoseconds. */
function seconds(ns, decimals = 1) {
  return `${trimmed(ns / 1e9, decimals)} s`;
}

/** At most `most` or so round values from `low` to `high`. */
function ticks(low, high, most) {
  if (!(high > low)) return [low];
  const rough = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((it) => it >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) found.push(i * step);
  return found;
}

/** Round values on a logarithmic axis: decades, and 2 and 5 between them where there are few. */
function logTicks(low, high) {
  const found = [];
  const few = Math.log10(high / low) < 2.5;
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high * 1.001; power += 1) {
    for (const digit of few ? [1, 2, 5] : [1]) {
      const value = digit * 10 ** power;
      if (value >= low * 0.999 && value <= high * 1.001) found.push(value);
    }
  }
  return found.length > 1 ? found : [low, high];
}

/** Place of the last element that is not above `value`, or -1; `sorted` rises. */
function lastNotAbove(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
