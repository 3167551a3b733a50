// Puts the parts together: who chose what, who hears what, and what the header says.

import { percent, price, short, sign } from './decimal.js';
import * as api from './api.js';
import { Feed } from './feed.js';
import { Market, Spark } from './market.js';
import { PriceTable } from './table.js';
import { PriceChart, intervals } from './chart.js';
import { Depth } from './depth.js';
import { Alerts } from './alerts.js';

const byId = (id) => document.getElementById(id);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const snapshotBatch = 500; // The most that one request may name.
const snapshotEvery = 5000;
const sparkPace = 120;

const words = { connecting: 'connecting', open: 'live', waiting: 'offline', closed: 'offline' };

const market = new Market();
const table = new PriceTable(market);
const chart = new PriceChart();
const depth = new Depth((value) => chart.heightOf(value), () => chart.scaleWidth());
const alerts = new Alerts();
const feed = new Feed(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws/v1`);
let view = [];
let keyWorks = false;

// The header

function showLink({ state, detail }) {
  byId('vital-connection').dataset.state = state;
  document.body.dataset.link = state;
  byId('connection').textContent = words[state] + (detail ? `, ${detail}` : '');
}

function span(ms) {
  if (ms < 950) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
  return ms < 3600000 ? `${Math.floor(ms / 60000)} min` : `${Math.floor(ms / 3600000)} h`;
}

function showVitals() {
  byId('rtt').textContent = feed.rtt === null ? '—' : feed.rtt < 10 ? `${feed.rtt.toFixed(1)} ms` : span(feed.rtt);
  const age = Date.now() + feed.offset - market.latest;
  byId('age').textContent = market.latest ? span(Math.max(0, age)) : '—';
  byId('age').className = market.latest && age > 10000 ? 'down' : '';
}

function showAccess() {
  alerts.admit(keyWorks);
  byId('access').textContent = keyWorks ? `key ${api.key().split('_')[1]}` : 'read-only';
}

// The chosen symbol

function choose(symbol) {
  const row = market.get(symbol);
  if (!row) return;
  table.selected = symbol;
  table.schedule();
  chart.show(symbol, row.decimals);
  depth.show(symbol);
  alerts.choose(row);
  chart.drawLines(alerts.linesFor(symbol));
  showChosen(row);
  subscribe();
}

function showChosen(row) {
  byId('chart-symbol').textContent = row.symbol;
  byId('chart-last').textContent = price(row.last, row.decimals);
  byId('chart-last').className = `big num ${row.direction > 0 ? 'up' : row.direction < 0 ? 'down' : ''}`;
  byId('chart-change').textContent = percent(row.changePct);
  byId('chart-change').className = `num ${['down', '', 'up'][sign(row.changePct) + 1]}`;
  byId('chart-high').textContent = price(row.high, row.decimals);
  byId('chart-low').textContent = price(row.low, row.decimals);
  byId('chart-volume').textContent = short(row.volume);
  byId('chart-venue').textContent = row.venue || '—';
  alerts.prefill(row);
}

function showTitle() {
  const row = market.get(table.selected);
  document.title = row?.last ? `${price(row.last, row.decimals)} ${row.symbol} · pxengine` : 'pxengine';
}

// What the feed shall send: what is in view, and what is chosen

function subscribe() {
  const symbols = new Set(view);
  if (table.selected) symbols.add(table.selected);
  feed.want('ticker', symbols);
  feed.want('avg', symbols);
}

// Slow background work: never more than one request at a time, and none while the page is hidden.

async function fillSparks() {
  for (;;) {
    const symbol = view.find((s) => market.get(s)?.spark === null);
    if (!symbol || document.hidden) {
      await pause(500);
      continue;
    }
    const row = market.get(symbol);
    try {
      row.spark = new Spark((await api.candles(symbol, '1m', 60)).c || []);
      if (row.last) row.spark.live(row.last);
      market.touched(row);
    } catch (problem) {
      if (problem.status === 404 || problem.status === 422) row.spark = new Spark([]);
      await pause(Math.max(3000, problem.retryAfter * 1000));
    }
    await pause(sparkPace);
  }
}

// Rows out of view hear no frames; they are read in turn, so that sorting by value means something.
async function fillOutOfView() {
  let first = true;
  for (;;) {
    const symbols = [...market.rows.keys()];
    for (let i = 0; i < symbols.length; i += snapshotBatch) {
      const seen = new Set(view);
      const batch = symbols.slice(i, i + snapshotBatch).filter((s) => !seen.has(s));
      if (batch.length > 0 && !document.hidden) {
        await api.prices(batch).then((list) => list.forEach((p) => market.snapshot(p)), () => pause(snapshotEvery));
      }
      await pause(first ? 100 : snapshotEvery);
    }
    first = false;
    await pause(snapshotEvery);
  }
}

async function probeIntervals(symbol) {
  for (const [name] of intervals.slice(1)) {
    await api.candles(symbol, name, 1).then(() => chart.offer(name), () => {});
    await pause(100);
  }
}

// The start

async function loadAssets() {
  for (let wait = 500; ; wait = Math.min(wait * 2, 10000)) {
    try {
      return await api.assets();
    } catch (problem) {
      byId('grid-empty').hidden = false;
      byId('grid-empty').textContent = `${problem.message}. Trying again.`;
      await pause(wait / 2 + (Math.random() * wait) / 2);
    }
  }
}

// Another epoch is another start of the engine, perhaps with other assets.
async function adoptEpoch(epoch) {
  if (!epoch || epoch === byId('epoch').textContent) return;
  const again = byId('epoch').textContent !== '—';
  byId('epoch').textContent = epoch;
  if (again) showAssets(await loadAssets());
}

function showAssets(assets) {
  market.load(assets);
  byId('asset-count').textContent = market.rows.size.toLocaleString('en');
  table.arrange();
}

async function loadStatus() {
  const status = await api.status().catch(() => null);
  adoptEpoch(status?.epoch);
}

function refuseKey(reason) {
  keyWorks = false;
  api.forgetKey();
  showAccess();
  alerts.keyError(`The engine refused the key. ${reason}`);
}

function useKey() {
  keyWorks = api.key() !== '';
  showAccess();
  if (keyWorks) loadAlerts();
}

function loadAlerts() {
  alerts.load();
  alerts.loadFires();
  alerts.loadChannels();
}

function listenFeed() {
  feed.addEventListener('state', ({ detail }) => {
    showLink(detail);
    if (detail.state === 'open') chart.refresh();
  });
  feed.addEventListener('status', ({ detail }) => adoptEpoch(detail.epoch));
  feed.addEventListener('refused', ({ detail }) => refuseKey(detail));
  feed.addEventListener('authenticated', () => loadAlerts());
  feed.addEventListener('slow', () => alerts.toast('Falling behind', 'This page reads more slowly than the engine writes.', 'plain'));
  feed.addEventListener('data', ({ detail: frame }) => {
    if (frame.channel === 'alerts') alerts.fired(frame);
    else if (frame.channel === 'ohlc') frame.data.forEach((item) => chart.live(item));
    else market.frame(frame);
  });
}

function listenParts() {
  table.addEventListener('choose', ({ detail }) => choose(detail));
  table.addEventListener('view', ({ detail }) => {
    view = detail;
    subscribe();
  });
  market.addEventListener('row', ({ detail }) => {
    if (detail.symbol !== table.selected) return;
    showChosen(detail);
    chart.tick(detail);
  });
  chart.addEventListener('show', ({ detail }) => {
    feed.want('ohlc', [detail], { interval: 1 });
    chart.drawLines(alerts.linesFor(detail));
  });
  chart.addEventListener('level', ({ detail }) => alerts.setLevel(detail));
  alerts.addEventListener('lines', () => chart.drawLines(alerts.linesFor(chart.symbol)));
  alerts.addEventListener('go', ({ detail }) => choose(detail));
  alerts.addEventListener('refused', ({ detail }) => refuseKey(detail));
  alerts.addEventListener('key', () => {
    useKey();
    feed.restart(api.key());
  });
}

function listenPage() {
  addEventListener('hashchange', () => {
    if (!api.adoptKeyFromAddress()) return;
    useKey();
    feed.restart(api.key());
  });
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, select, textarea')) return;
    if (event.key === '/') byId('filter').focus();
    else if (event.key === 'a') byId(keyWorks ? 'form-level' : 'key-text').focus();
    else return;
    event.preventDefault();
  });
  document.addEventListener('visibilitychange', () => document.hidden || chart.refresh());
  setInterval(showVitals, 250);
  setInterval(showTitle, 1000);
}

async function start() {
  api.adoptKeyFromAddress();
  listenFeed();
  listenParts();
  listenPage();
  useKey();
  feed.start(api.key());
  loadStatus();
  showAssets(await loadAssets());
  const first = table.order[0];
  if (!first) return;
  choose(first.symbol);
  fillSparks();
  fillOutOfView();
  probeIntervals(first.symbol);
}

start();
