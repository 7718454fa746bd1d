'use strict';
// Opens a page in headless Chromium: no request, no error, no violation of axe-core, nothing wider
// than a phone; and what one does with it works.
//   node browser.cjs CHROMIUM MODULES PAGE.html EXPECTED.json ENGINES.html PARTIAL.html MANY.html [PICTURES]

const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { isDeepStrictEqual } = require('node:util');

const [chromium, modules, main, expectedFile, engines, partial, many, pictures] = process.argv.slice(2);
const puppeteer = require(path.join(modules, 'puppeteer-core'));
const axe = fs.readFileSync(path.join(modules, 'axe-core/axe.min.js'), 'utf8');
const expected = JSON.parse(fs.readFileSync(expectedFile, 'utf8'));
const wrong = [];
const check = (held, what) => { if (!held) wrong.push(what); };

async function open(browser, file, { width, dark, still }) {
  const page = await browser.newPage();
  const name = `${path.basename(path.dirname(file))} at ${width}${dark ? ' dark' : ''}`;
  page.on('console', (message) => { if (['error', 'warn'].includes(message.type())) wrong.push(`${name}: console: ${message.text()}`); });
  page.on('pageerror', (error) => wrong.push(`${name}: ${error.stack || error}`));
  page.on('request', (request) => { if (!/^(file|data|blob):/.test(request.url())) wrong.push(`${name}: asks for ${request.url()}`); });
  await page.setViewport({ width, height: 800 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }, { name: 'prefers-reduced-motion', value: still ? 'reduce' : 'no-preference' }]);
  await page.goto(pathToFileURL(file).href);
  await page.waitForFunction(() => window.lab && document.querySelector('.plot polyline'), { timeout: 20000 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  check(wide <= 0, `${name}: ${wide} px wider than the screen`);
  if (pictures) await page.screenshot({ path: path.join(pictures, `${name.replaceAll(' ', '-')}.png`), fullPage: true });
  return { page, name };
}

async function audit({ page, name }) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run({ resultTypes: ['violations'] }));
  for (const it of violations) wrong.push(`${name}: axe ${it.id}: ${it.nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`).join(' | ')}`);
}

/** What the replay says at each instant against what the test counted in the files. */
async function replayed(page) {
  const found = await page.evaluate((instants) => instants.map(({ world, at }) => {
    const scene = window.lab.stage.scenes.find((it) => it.replay.world === world);
    const state = scene.replay.stateAt(at);
    return { in_flight: state.servers.map((it) => it.queued.length + it.served.length), due: state.due, good: state.good, failed: state.failed };
  }), expected);
  expected.forEach((it, place) => {
    const { world, at, ...counts } = it;
    check(isDeepStrictEqual(counts, found[place]), `replay of ${world} at ${at}: ${JSON.stringify(found[place])} for ${JSON.stringify(counts)}`);
  });
  check(new Set(expected.map((it) => it.world)).size === 2 && expected.length >= 20, 'too little was compared');
}

async function used(page) {
  // Hover.
  const plot = await page.$('.plot');
  await plot.scrollIntoView();
  const box = await plot.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + 60);
  check(/Model p50/.test(await page.$eval('.tip', (tip) => (tip.hidden ? '' : tip.textContent))), 'hovering shows no values');
  // Zoom by dragging, back by the button.
  await page.mouse.move(box.x + box.width * 0.4, box.y + 60);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 60);
  await page.mouse.up();
  const view = () => page.evaluate(() => window.lab.axis.view);
  const [from, until] = await view();
  const whole = await page.evaluate(() => window.lab.axis.high);
  check(from > 0 && until < whole, `dragging does not zoom: ${from} ${until}`);
  // The keyboard.
  await page.$eval('.plot', (it) => it.focus());
  await page.keyboard.press('0');
  check((await view())[1] === whole, '0 does not show all');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('+');
  check((await view())[1] - (await view())[0] < whole * 0.6, '+ does not zoom');
  check(/Model p50/.test(await page.$eval('.chart .unseen[aria-live]', (it) => it.textContent)), 'the keyboard reads no values');
  await page.keyboard.press('Escape');
  // Tables sort.
  const cells = () => page.$$eval('#latency tbody tr', (rows) => rows.map((row) => row.children[0].textContent));
  const before = await cells();
  await page.$$eval('#latency .sort', (buttons) => { buttons[1].click(); buttons[1].click(); });
  const after = await cells();
  check(before.join() !== after.join() && ['max', 'p99.9'].includes(after[0]), `the table does not sort: ${after}`);
  // The replay plays, pauses, jumps to an event, and its time is in the charts.
  const at = () => page.evaluate(() => window.lab.stage.at);
  await page.evaluate(() => window.lab.stage.seek(0));
  await page.click('.play');
  await page.waitForFunction(() => window.lab.stage.at > 1e8, { timeout: 20000 });
  await page.click('.play');
  const paused = await at();
  await new Promise((done) => { setTimeout(done, 150); });
  check((await at()) === paused, 'it does not pause');
  await page.click('.controls [aria-label="Next event"]');
  check(await page.evaluate(() => window.lab.stage.events.some((event) => event.at_ns === window.lab.stage.at)), 'it does not jump to an event');
  await page.$eval('.scrub input', (slider) => { slider.value = 5000; slider.dispatchEvent(new Event('input')); });
  check(Math.abs((await at()) - (await page.evaluate(() => (window.lab.stage.from + window.lab.stage.until) / 2))) < 1e6, 'it does not scrub');
  const numbers = await page.$$eval('.counts', (lists) => lists.map((list) => list.textContent));
  check(numbers.length === 2 && numbers.every((it) => /due\d/.test(it)), `no numbers: ${numbers}`);
}

/** Every one of many servers is on the stage, also the one that fails; words are whole or elided. */
async function crowded({ page, name }) {
  const found = await page.evaluate(() => {
    const [scene] = window.lab.stage.scenes;
    const names = [...document.querySelectorAll('#servers tbody th')].map((cell) => cell.getBoundingClientRect());
    const ticks = [...document.querySelectorAll('.plot')].map((plot) => [...plot.querySelectorAll('.tick[text-anchor=end]')].map((tick) => tick.textContent));
    return { lanes: scene.lanes.length, servers: scene.facts.servers.length, high: scene.size[1], rows: Math.max(...names.map((box) => box.height)), twice: ticks.find((values) => new Set(values).size < values.length) };
  });
  check(found.lanes === found.servers && found.servers > 50, `${name}: ${found.lanes} of ${found.servers} servers are on the stage`);
  check(found.high < 700, `${name}: the stage is ${found.high} px high`);
  check(found.rows < 120, `${name}: a server's name takes ${found.rows} px`);
  check(!found.twice, `${name}: an axis has a number twice: ${found.twice}`);
}

(async () => {
  const browser = await puppeteer.launch({ executablePath: chromium, args: ['--no-sandbox', '--disable-gpu', '--allow-file-access-from-files'] });
  try {
    const desktop = await open(browser, main, { width: 1300 });
    await replayed(desktop.page);
    await used(desktop.page);
    await audit(desktop);
    await audit(await open(browser, main, { width: 360, dark: true, still: true }));
    const compared = await open(browser, engines, { width: 360 });
    await compared.page.$$eval('.tabs button', (tabs) => tabs[1].click());
    check(await compared.page.evaluate(() => window.lab.part.label !== ''), 'no engine in detail');
    await audit(compared);
    const crowd = await open(browser, many, { width: 1300 });
    await crowded(crowd);
    await audit(crowd);
    await crowded(await open(browser, many, { width: 360, dark: true }));
    const interrupted = await open(browser, partial, { width: 1300 });
    check(/interrupted/.test(await interrupted.page.$eval('.verdict.bad', (it) => it.textContent)), 'a partial run does not say so');
  } finally {
    await browser.close();
  }
  if (wrong.length > 0) {
    console.error(wrong.join('\n'));
    process.exit(1);
  }
})();
