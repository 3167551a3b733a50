// The dashboard as a person meets it: open it, watch a price move, set an alert, see it fire. From simple to hard, so that a failing
// run points at the simplest broken thing first.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pause, startSite } from './site.mjs';

const { chromium } = createRequire(join(process.env.PX_BROWSER_DEPS, 'package.json'))('playwright-core');
const pictures = process.env.PX_SCREENSHOTS;
const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];
const patience = 30000;

const site = await startSite();
const browser = await chromium.launch({ executablePath: process.env.PX_CHROMIUM || '/usr/bin/chromium', args: flags });
const complaints = [];

// The key is known to the engine a moment after it was made.
async function makeChannel() {
  const headers = { 'X-API-Key': site.key, 'Content-Type': 'application/json' };
  const body = JSON.stringify({ type: 'webhook', name: 'my hook', url: 'https://example.com/hook' });
  await until('a channel', async () => (await fetch(`${site.url}/api/v1/channels`, { method: 'POST', headers, body })).status === 201);
}

async function open(address, width = 1440, height = 900) {
  const context = await browser.newContext({ viewport: { width, height }, timezoneId: 'UTC' });
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (line) => /Content Security Policy|Refused to/.test(line.text()) && complaints.push(line.text()));
  await page.goto(site.url + address);
  return page;
}

const picture = (page, name, fullPage = false) => page.screenshot({ path: join(pictures, `${name}.png`), fullPage });
const text = (page, selector) => page.locator(selector).first().textContent();

async function until(what, check) {
  const end = Date.now() + patience;
  for (;;) {
    if (await check()) return;
    if (Date.now() > end) assert.fail(`not within ${patience / 1000} s: ${what}`);
    await pause(100);
  }
}

// Pixels of the candles' and the average's colours on the chart's canvases: an empty chart has grid and text, but none of these.
function colouredPixels(page) {
  return page.evaluate(() => {
    const near = (d, i, [r, g, b]) => Math.abs(d[i] - r) < 12 && Math.abs(d[i + 1] - g) < 12 && Math.abs(d[i + 2] - b) < 12 && d[i + 3] > 200;
    const found = { candles: 0, average: 0 };
    for (const canvas of document.querySelectorAll('#chart canvas')) {
      if (canvas.width === 0 || canvas.height === 0) continue;
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      for (let i = 0; i < data.length; i += 4) {
        if (near(data, i, [63, 199, 150]) || near(data, i, [242, 112, 122])) found.candles++;
        if (near(data, i, [230, 180, 85])) found.average++;
      }
    }
    return found;
  });
}

async function readsWithoutKey() {
  const page = await open('/');
  await page.locator('#connection:text-is("live")').waitFor();
  await page.locator('#key-form').waitFor();
  assert.equal(await page.locator('#alert-form').isVisible(), false);
  await page.locator('#grid-body .row').first().waitFor();
  await picture(page, 'read-only');
  await page.context().close();
}

async function takesTheKeyOutOfTheAddress(page) {
  await page.locator('#alert-form').waitFor();
  assert.equal(new URL(page.url()).hash, '');
  assert.equal(await text(page, '#access'), `key ${site.key.split('_')[1]}`);
}

async function pricesMove(page) {
  const last = page.locator('#grid-body .row .last').first();
  await until('a first price', async () => /\d/.test(await last.textContent()));
  const before = await last.textContent();
  await until('another price', async () => (await last.textContent()) !== before);
  await until('a one-minute average', async () => /\d/.test(await text(page, '#grid-body .row .soft:nth-child(6)')));
  await until('a round trip', async () => /ms/.test(await text(page, '#rtt')));
  assert.match(await text(page, '#epoch'), /^k\d+$/);
}

async function chartIsDrawn(page) {
  await until('candles on the chart', async () => (await colouredPixels(page)).candles > 20);
  await until('open, high, low, close in the legend', async () => /O.*H.*L.*C/.test(await page.locator('#legend').textContent()));
}

async function wrongLevelSaysSo(page) {
  for (const level of ['-1', 'abc']) {
    await page.fill('#form-level', level);
    await page.click('#form-create');
    await page.locator('#form-level-error').waitFor();
    assert.equal(await page.getAttribute('#form-level', 'aria-invalid'), 'true');
    assert.ok((await text(page, '#form-level-error')).length > 3);
    await picture(page, 'invalid-level');
    await page.fill('#form-level', '1');
    assert.equal(await page.locator('#form-level-error').isVisible(), false);
  }
}

async function alertIsSet(page, op, level, name) {
  await page.selectOption('#form-op', op);
  await page.fill('#form-level', level);
  await page.fill('#form-name', name);
  await page.click('#form-create');
  await page.locator('#alert-list li', { hasText: name }).waitFor();
}

async function alertFires(page) {
  await alertIsSet(page, 'greater_or_equal', '0.01', 'fires at once');
  await page.locator('.toast', { hasText: 'fires at once' }).waitFor();
  await page.locator('#fire-list li', { hasText: 'fires at once' }).waitFor();
  await page.locator('#alert-list li', { hasText: 'fires at once' }).locator('.badge.fired').waitFor();
}

// A band of a few steps around the price: it may take long until a walk comes back to one level, but it leaves a band soon.
async function crossingFires(page) {
  const last = (await text(page, '#chart-last')).replaceAll(',', '');
  const places = (last.split('.')[1] || '').length;
  await alertIsSet(page, 'crossing_up', (Number(last) * 1.0005).toFixed(places), 'crossing up');
  await alertIsSet(page, 'crossing_down', (Number(last) * 0.9995).toFixed(places), 'crossing down');
  await page.locator('#fire-list li', { hasText: 'crossing' }).first().waitFor();
}

// Kinds with other fields than one level; that they are kept is the engine's answer.
async function everyKindHasItsFields(page) {
  const last = (await text(page, '#chart-last')).replaceAll(',', '');
  await page.selectOption('#form-op', 'inside_channel');
  assert.ok(await page.isVisible('#form-upper'));
  await page.fill('#form-upper', (Number(last) * 3).toFixed(2));
  await page.selectOption('#form-frequency', 'every_time');
  await page.click('.more summary');
  await page.fill('#form-cooldown', '1h');
  await alertIsSet(page, 'inside_channel', (Number(last) * 2).toFixed(2), 'a channel');
  await page.fill('#form-cooldown', '');
  await page.click('.more summary');
  await page.selectOption('#form-frequency', 'once');
  await alertIsSet(page, 'moving_up_pct', '50', 'a rise');
  assert.ok(await page.isVisible('#form-window'));
  await page.selectOption('#form-op', 'stale');
  assert.equal(await page.isVisible('#form-level'), false);
  await page.fill('#form-name', 'silence');
  await picture(page, 'every-kind');
  await page.click('#form-create');
  await page.locator('#alert-list li', { hasText: 'silence' }).waitFor();
}

// All of two conditions, told to a channel, found by its tags; the first one stands as a chip until the alert is made.
async function severalConditions(page) {
  await page.selectOption('#form-op', 'greater_or_equal');
  await page.fill('#form-level', '0.01');
  await page.click('#form-and');
  await page.locator('#form-conditions .chip').waitFor();
  await page.fill('#form-tags', 'night, far');
  await page.click('.more summary');
  await page.locator('#form-channel-list .choice', { hasText: 'my hook' }).locator('input').check();
  await picture(page, 'several-conditions');
  await page.click('.more summary');
  await alertIsSet(page, 'less_or_equal', '0.02', 'both at once');
  const row = page.locator('#alert-list li', { hasText: 'both at once' });
  assert.match(await row.textContent(), /≥ 0\.01 and ≤ 0\.02.*#night #far.*✉ 1/);
  assert.equal(await page.locator('#form-conditions .chip').count(), 0);
  await page.fill('#form-tags', '');
  await page.click('.more summary');
  await page.locator('#form-channel-list input').uncheck();
  await page.click('.more summary');
}

// What fired before the page was opened is there, newest first, and nothing of it is announced again.
async function firesOutliveTheReload(page) {
  const before = await page.locator('#fire-list li').count();
  await page.reload();
  await page.locator('#fire-list li', { hasText: 'fires at once' }).waitFor();
  assert.ok((await page.locator('#fire-list li').count()) >= before);
  assert.equal(await page.locator('.toast', { hasText: 'fires at once' }).count(), 0);
}

async function alertIsPaused(page) {
  const row = page.locator('#alert-list li', { hasText: 'a rise' });
  await row.locator('.act[aria-label^="Pause"]').click();
  await row.locator('.badge.paused').waitFor();
  await row.locator('.act[aria-label^="Resume"]').click();
  await row.locator('.badge.armed').waitFor();
}

// One level far out of sight is a number at the edge; one beside the price is a bar, for as long as the price leaves it alone.
async function depthIsDrawn(page) {
  const near = async () => {
    const last = (await text(page, '#chart-last')).replaceAll(',', '');
    return (Number(last) * 1.0002).toFixed(last.split('.')[1]?.length ?? 0);
  };
  await alertIsSet(page, 'crossing_up', '90000000', 'out of sight');
  await page.locator('#depth em.upper').waitFor({ state: 'attached' });
  await until('a bar beside the price', async () => {
    await alertIsSet(page, 'crossing_up', await near(), 'depth');
    return page.locator('#depth span').first().waitFor({ state: 'attached', timeout: 3000 }).then(() => true, () => false);
  });
}

async function clickSetsTheLevel(page) {
  await page.fill('#form-level', '');
  await page.click('#chart', { position: { x: 200, y: 150 } });
  await until('a level from the chart', async () => /^\d+(\.\d+)?$/.test(await page.inputValue('#form-level')));
}

async function alertIsDeleted(page) {
  const row = page.locator('#alert-list li', { hasText: 'far away' });
  await alertIsSet(page, 'crossing_up', '99999999', 'far away');
  // The button asks once more, and forgets the question after four seconds: on a busy machine that may be between the two clicks.
  await until('the alert is gone', async () => {
    if ((await row.count()) === 0) return true;
    await row.locator('.remove').click({ timeout: 2000 }).catch(() => {});
    return false;
  });
}

async function filterAndKeyboard(page) {
  await page.keyboard.press('Escape');
  await page.locator('#grid').focus();
  const before = await text(page, '#chart-symbol');
  await page.keyboard.press('ArrowDown');
  await until('the next symbol', async () => (await text(page, '#chart-symbol')) !== before);
  await page.keyboard.press('Home');
  await page.fill('#filter', 'no such thing');
  await page.locator('#grid-empty').waitFor();
  await page.fill('#filter', '');
}

// The engine is stopped and started again; the mock just hangs up.
async function comesBackAfterALoss(page) {
  const epoch = await text(page, '#epoch');
  const lost = page.locator('#vital-connection[data-state="waiting"]').waitFor();
  await site.drop();
  await lost;
  await page.locator('#connection:text-is("live")').waitFor();
  if (process.env.PX_MOCK !== '1') await until('another epoch', async () => (await text(page, '#epoch')) !== epoch);
  await pricesMove(page);
  await page.locator('#alert-list li', { hasText: 'fires at once' }).waitFor();
}

async function fitsAPhone() {
  const page = await open(`/#key=${site.key}`, 390, 844);
  await page.locator('#grid-body .row .last').first().waitFor();
  await until('candles on the chart', async () => (await colouredPixels(page)).candles > 20);
  const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= screen, `the page is ${content} wide on a screen of ${screen}`);
  await pause(1500);
  await picture(page, 'phone-390x844');
  await picture(page, 'phone-whole', true);
  await page.context().close();
}

const steps = [takesTheKeyOutOfTheAddress, pricesMove, chartIsDrawn, wrongLevelSaysSo, alertFires, crossingFires, everyKindHasItsFields, severalConditions, firesOutliveTheReload, alertIsPaused, depthIsDrawn, clickSetsTheLevel, alertIsDeleted, filterAndKeyboard,
  comesBackAfterALoss];
let failed = 0;
let page;
try {
  await readsWithoutKey();
  console.log('ok readsWithoutKey');
  await makeChannel();
  page = await open(`/#key=${site.key}`);
  for (const step of steps) {
    await step(page);
    console.log(`ok ${step.name}`);
  }
  await pause(1500);
  await picture(page, 'desk-1440x900');
  await fitsAPhone();
  console.log('ok fitsAPhone');
  assert.deepEqual(complaints, []);
} catch (error) {
  failed = 1;
  console.error(error);
  if (complaints.length > 0) console.error('The page complained:', complaints);
  if (page) await picture(page, 'failure').catch(() => {});
  if (site.log) console.error(`The log ends:\n${site.log()}`);
} finally {
  await browser.close();
  await site.stop();
}
process.exit(failed);
