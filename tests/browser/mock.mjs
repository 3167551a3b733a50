// An engine made of air, for work on the dashboard: the public contract over invented prices. Not a test oracle.
//   node tests/browser/mock.mjs [--port 8090] [--assets 24]     then open the address it prints
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const charts = process.env.PX_CHARTS || join(root, 'build/vendor/lightweight-charts.standalone.production.js');
const policy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const types = { '.html': 'text/html; charset=utf-8', '.css': 'text/css; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.svg': 'image/svg+xml' };
const named = [['BTC-USD', 70123.45, 2], ['ETH-USD', 3512.08, 2], ['SOL-USD', 171.42, 2], ['XRP-USD', 0.5231, 5], ['ADA-USD', 0.4467, 4], ['DOGE-USD', 0.12344, 5],
  ['AVAX-USD', 34.71, 2], ['LINK-USD', 17.083, 3], ['DOT-USD', 6.912, 3], ['LTC-USD', 83.15, 2], ['BCH-USD', 461.2, 2], ['UNI-USD', 9.874, 3],
  ['ATOM-USD', 8.311, 3], ['XLM-USD', 0.10831, 5], ['NEAR-USD', 7.204, 3], ['APT-USD', 8.93, 2], ['ARB-USD', 1.0412, 4], ['OP-USD', 2.377, 3],
  ['AAPL-USD', 191.32, 2], ['MSFT-USD', 415.55, 2], ['NVDA-USD', 1187.1, 2], ['EUR-USD', 1.08342, 5], ['GBP-USD', 1.27118, 5], ['XAU-USD', 2331.64, 2]];

function makeAssets(count) {
  const list = named.slice(0, count);
  while (list.length < count) list.push([`T${String(list.length).padStart(5, '0')}-USD`, 10 + (list.length % 900), 2]);
  return list.map(([symbol, start, decimals], i) => ({ symbol, decimals, p: start, start, stale: i % 11 === 8, venue: ['coinbase', 'kraken', 'binance'][i % 3], sseq: 1, candles: null }));
}

function history(a) {
  if (a.candles) return a.candles;
  const now = Math.floor(Date.now() / 60000) * 60;
  let p = a.start;
  const list = [];
  for (let i = 0; i < 500; i++) {
    const o = p;
    const c = (p *= 1 + (Math.random() - 0.5) * 0.0016 + Math.sin(i / 40 + a.start) * 0.0001);
    const w = Math.random() * 0.0006;
    list.unshift({ t: now - i * 60, o: c, c: o, h: Math.max(o, c) * (1 + w), l: Math.min(o, c) * (1 - w), v: Math.random() * 40 + 2, n: 30 });
  }
  return (a.candles = list);
}

function roll(list, seconds) {
  const out = new Map();
  for (const k of list) {
    const t = Math.floor(k.t / seconds) * seconds;
    const b = out.get(t);
    if (!b) out.set(t, { ...k, t });
    else Object.assign(b, { c: k.c, h: Math.max(b.h, k.h), l: Math.min(b.l, k.l), v: b.v + k.v, n: b.n + k.n });
  }
  return [...out.values()];
}

function step(a) {
  a.p *= 1 + (Math.random() - 0.5) * 0.0006;
  a.sseq++;
  const list = history(a);
  const t = Math.floor(Date.now() / 60000) * 60;
  let k = list.at(-1);
  if (k.t !== t) list.push((k = { t, o: k.c, c: k.c, h: k.c, l: k.c, v: 0, n: 0 }));
  Object.assign(k, { c: a.p, h: Math.max(k.h, a.p), l: Math.min(k.l, a.p), v: k.v + Math.random(), n: k.n + 1 });
}

const f = (a, v) => v.toFixed(a.decimals);
const twap = (a, minutes) => {
  const part = history(a).slice(-minutes);
  return f({ decimals: a.decimals + 3 }, part.reduce((s, k) => s + (k.o + k.c) / 2, 0) / part.length);
};
const windows = (a) => Object.fromEntries([['1m', 1], ['5m', 5], ['15m', 15], ['1h', 60]].map(([n, m]) => [n, { twap: twap(a, m), vwap: twap(a, m), high: f(a, a.p), low: f(a, a.p), volume: '10.5', count: 10, coverage: 1 }]));
const now = () => new Date().toISOString();
const ticker = (a) => ({
  symbol: a.symbol, last: f(a, a.p), bid: f(a, a.p * 0.9999), ask: f(a, a.p * 1.0001), open: f(a, a.start * 0.99), high: f(a, a.p * 1.012), low: f(a, a.p * 0.985),
  volume: (a.start * 13.7).toFixed(4), change: f(a, a.p - a.start), change_pct: (((a.p * 1.004) / a.start - 1) * 100 + Math.sin(a.start) * 3).toFixed(4), sseq: a.sseq, venue: a.venue, stale: a.stale, timestamp: now(),
});
const quote = (a) => ({ symbol: a.symbol, price: f(a, a.p), bid: f(a, a.p * 0.9999), ask: f(a, a.p * 1.0001), time: now(), stale: a.stale, venue: a.venue, averages: windows(a) });
const ohlc = (a, minutes) => {
  const k = roll(history(a), minutes * 60).at(-1);
  return { symbol: a.symbol, interval: minutes, open: f(a, k.o), high: f(a, k.h), low: f(a, k.l), close: f(a, k.c), volume: k.v.toFixed(4), trades: k.n, interval_begin: new Date(k.t * 1000).toISOString(), timestamp: now(), confirmed: false };
};

// RFC 6455, the part that a browser on the same machine needs.
function frameOf(text) {
  const body = Buffer.from(text);
  if (body.length < 126) return Buffer.concat([Buffer.from([0x81, body.length]), body]);
  const head = Buffer.alloc(4);
  head.writeUInt16BE(0x817e, 0);
  head.writeUInt16BE(body.length, 2);
  if (body.length < 65536) return Buffer.concat([head, body]);
  const long = Buffer.alloc(10);
  long.writeUInt16BE(0x817f, 0);
  long.writeBigUInt64BE(BigInt(body.length), 2);
  return Buffer.concat([long, body]);
}

function unframe(buffer, each) {
  while (buffer.length >= 6) {
    let len = buffer[1] & 127;
    let at = 2;
    if (len === 126) (len = buffer.readUInt16BE(2)), (at = 4);
    if (buffer.length < at + 4 + len) break;
    const mask = buffer.subarray(at, at + 4);
    const body = Buffer.from(buffer.subarray(at + 4, at + 4 + len)).map((b, i) => b ^ mask[i % 4]);
    if ((buffer[0] & 15) === 1) each(body.toString());
    buffer = buffer.subarray(at + 4 + len);
  }
  return buffer;
}

const holds = {
  crossing: (p, l, c) => (p < l && c >= l) || (p > l && c <= l), crossing_up: (p, l, c) => p < l && c >= l, crossing_down: (p, l, c) => p > l && c <= l,
  greater_or_equal: (p, l, c) => c >= l, greater_than: (p, l, c) => c > l, less_or_equal: (p, l, c) => c <= l, less_than: (p, l, c) => c < l,
};

function json(res, body, status = 200) {
  res.writeHead(status, { 'Content-Type': 'application/json' });
  res.end(JSON.stringify(body));
}

function problem(res, status, code, detail, errors) {
  res.writeHead(status, { 'Content-Type': 'application/problem+json' });
  res.end(JSON.stringify({ type: `/problems/${code}`, title: code, status, detail, code, ...(errors && { errors }) }));
}

function file(res, path) {
  const name = path === '/' ? 'index.html' : path.slice(1);
  const from = path === '/vendor/lightweight-charts.js' ? charts : join(root, 'web/dashboard', name);
  if (name.includes('..') || !types[extname(name)] || !existsSync(from)) return problem(res, 404, 'not_found', 'No such file');
  res.writeHead(200, { 'Content-Type': types[extname(name)], 'Cache-Control': 'no-cache', 'Content-Security-Policy': policy });
  return res.end(readFileSync(from));
}

class Mock {
  constructor({ assets, key }) {
    this.assets = makeAssets(assets);
    this.bySymbol = new Map(this.assets.map((a) => [a.symbol, a]));
    this.alerts = new Map();
    this.sessions = new Set();
    this.key = key;
    this.fires = 0;
    this.told = [];
  }

  // REST

  request(req, res) {
    const url = new URL(req.url, 'http://mock');
    let text = '';
    req.on('data', (part) => (text += part));
    req.on('end', () => (url.pathname.startsWith('/api/v1') ? this.rest(req, res, url.pathname.slice(7), url.searchParams, text) : file(res, url.pathname)));
  }

  rest(req, res, path, query, text) {
    if (path === '/status') return json(res, { version: '0.1.0', epoch: 'k3' });
    if (path === '/assets') return json(res, { assets: this.assets.map((a) => ({ symbol: a.symbol, decimals: a.decimals, state: 'active' })), next_cursor: null });
    if (path === '/prices') return json(res, { prices: query.get('symbols').split(',').map((s) => this.bySymbol.get(s)).filter(Boolean).map(quote) });
    if (path.endsWith('/alert-depth')) return this.depth(res, decodeURIComponent(path.split('/')[2]));
    if (path.startsWith('/candles/')) return this.candles(res, decodeURIComponent(path.slice(9)), query);
    if (path === '/channels') return json(res, req.method === 'POST' ? { id: 'ch_1' } : { channels: [{ id: 'ch_1', type: 'webhook', name: 'my hook' }], next_cursor: null }, req.method === 'POST' ? 201 : 200);
    if (path === '/events') return json(res, { events: [...this.told].reverse(), more: false });
    if (!path.startsWith('/alerts')) return problem(res, 404, 'not_found', 'No such path');
    if (req.headers['x-api-key'] !== this.key) return problem(res, 401, 'unauthorized', 'A key is needed');
    const verb = /^\/alerts\/(\w+):(pause|resume|rearm)$/.exec(path);
    if (verb) return json(res, Object.assign(this.alerts.get(verb[1]), { state: verb[2] === 'pause' ? 'paused' : 'armed' }));
    if (req.method === 'POST') return this.create(res, JSON.parse(text));
    if (req.method === 'GET') return json(res, { alerts: [...this.alerts.values()], next_cursor: null });
    if (!this.alerts.delete(path.slice(8))) return problem(res, 404, 'unknown_alert', 'Unknown alert');
    return res.writeHead(204).end();
  }

  // Thousands of others' alerts on both sides of the price, the more the rounder the level.
  depth(res, symbol) {
    const a = this.bySymbol.get(symbol);
    if (!a) return problem(res, 404, 'unknown_symbol', 'Unknown symbol');
    const side = (sign) => ({ levels: Array.from({ length: 12 }, (_, i) => ({ level: f(a, a.p * (1 + sign * (i + 1) * 0.0006)), count: 1 + ((i * 7919) % 13) ** 2 })), more: true });
    return json(res, { symbol, source: 'last', price: f(a, a.p), above: side(1), below: side(-1) });
  }

  candles(res, symbol, query) {
    const a = this.bySymbol.get(symbol);
    const seconds = { '1m': 60, '5m': 300, '15m': 900, '1h': 3600 }[query.get('interval')];
    if (!a) return problem(res, 404, 'unknown_symbol', 'Unknown symbol');
    if (!seconds) return problem(res, 422, 'validation', 'Unknown interval');
    const list = roll(history(a), seconds).slice(-Number(query.get('limit') || 500));
    let run = list[0].o;
    return json(res, {
      symbol, interval: query.get('interval'), t: list.map((k) => new Date(k.t * 1000).toISOString()),
      o: list.map((k) => f(a, k.o)), h: list.map((k) => f(a, k.h)), l: list.map((k) => f(a, k.l)), c: list.map((k) => f(a, k.c)),
      v: list.map((k) => k.v.toFixed(4)), n: list.map((k) => k.n), twap: list.map((k) => f(a, (run = run * 0.85 + ((k.o + k.c) / 2) * 0.15))),
      final: list.map(() => true), filled: list.map(() => false),
    });
  }

  create(res, body) {
    const one = body.condition || {};
    const level = one.level ?? one.lower ?? one.amount ?? '1';
    const wrong = !/^-?\d+(\.\d+)?$/.test(level) ? 'must be a decimal' : Number(level) <= 0 ? 'must be greater than 0' : '';
    if (wrong) return problem(res, 422, 'validation', 'The alert is not valid', [{ pointer: '/condition/level', detail: wrong }]);
    const alert = { id: `al_${randomBytes(13).toString('hex')}`, frequency: 'once', ...body, state: 'armed', version: 1, created_at: now(), last_fired_at: null, fires: 0 };
    alert.prev = this.bySymbol.get(body.symbol).p;
    this.alerts.set(alert.id, alert);
    return json(res, alert, 201);
  }

  // WebSocket

  upgrade(req, socket) {
    const accept = createHash('sha1').update(`${req.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    const session = { socket, subs: new Set(), seq: 0, owner: false };
    this.sessions.add(session);
    this.say(session, { channel: 'status', type: 'update', data: [{ system: 'online', api_version: 'v2', version: '0.1.0', connection_id: 7, epoch: 'k3' }] });
    let rest = Buffer.alloc(0);
    socket.on('data', (part) => (rest = unframe(Buffer.concat([rest, part]), (text) => this.heard(session, JSON.parse(text)))));
    socket.on('close', () => this.sessions.delete(session));
    socket.on('error', () => this.sessions.delete(session));
  }

  say(session, message) {
    session.socket.write(frameOf(JSON.stringify(message.channel ? { ...message, seq: ++session.seq } : message)));
  }

  heard(session, message) {
    const { method, req_id } = message;
    if (method === 'ping') this.say(session, { method: 'pong', req_id, time_in: now(), time_out: now() });
    if (method === 'auth') {
      session.owner = message.params.token === this.key;
      this.say(session, { method, success: session.owner, ...(session.owner ? {} : { error: 'Unknown key', code: 'unauthorized' }), req_id });
    }
    if (method === 'subscribe' || method === 'unsubscribe') this.subscribe(session, message);
  }

  subscribe(session, { method, params: { channel, symbol = [null], interval = 1 }, req_id }) {
    for (const each of symbol) {
      if (each && !this.bySymbol.has(each)) {
        this.say(session, { method, success: false, error: 'Unknown symbol', code: 'unknown_symbol', symbol: each, req_id });
        continue;
      }
      const id = JSON.stringify([channel, each, interval]);
      if (method === 'subscribe') session.subs.add(id);
      else session.subs.delete(id);
      this.say(session, { method, success: true, result: { channel, symbol: each }, time_in: now(), time_out: now(), req_id });
      if (method === 'subscribe' && each) this.show(session, id, 'snapshot');
    }
  }

  show(session, id, type) {
    const [channel, symbol, interval] = JSON.parse(id);
    const a = this.bySymbol.get(symbol);
    if (channel === 'ticker') this.say(session, { channel, type, data: [ticker(a)] });
    if (channel === 'avg') this.say(session, { channel, type, data: [{ symbol, ...windows(a), timestamp: now() }] });
    if (channel === 'ohlc') this.say(session, { channel, type, data: [ohlc(a, interval)] });
  }

  // Time passes

  tick() {
    const moved = new Set(this.assets.filter((a) => !a.stale && Math.random() < 0.4));
    moved.forEach(step);
    this.alerts.forEach((alert) => this.match(alert));
    for (const s of this.sessions) for (const id of s.subs) if (moved.has(this.bySymbol.get(JSON.parse(id)[1]))) this.show(s, id, 'update');
  }

  match(alert) {
    const a = this.bySymbol.get(alert.symbol);
    const { op, level } = alert.condition;
    const { prev } = alert;
    alert.prev = a.p;
    if (alert.state !== 'armed' || !holds[op]?.(prev, Number(level), a.p)) return;
    alert.fires++;
    alert.last_fired_at = now();
    if (alert.frequency === 'once') alert.state = 'fired';
    const fire = { alert_id: alert.id, fire: alert.fires, name: alert.name || '', symbol: alert.symbol, op, level, price: f(a, a.p), prev: f(a, prev),
      price_time: now(), recv_time: now(), matched_time: now(), venue: a.venue, seq: ++this.fires, epoch: 'k3', late: false, message: '' };
    this.told.push(fire);
    for (const s of this.sessions) if (s.owner) this.say(s, { channel: 'alerts', type: 'update', data: [fire] });
  }

  drop() {
    this.sessions.forEach((s) => s.socket.destroy());
  }
}

export async function startMock({ port = 0, assets = 24, tick = 250, key = `px_demo1234_${'a'.repeat(43)}` } = {}) {
  const mock = new Mock({ assets, key });
  const server = createServer((req, res) => mock.request(req, res));
  server.on('upgrade', (req, socket) => mock.upgrade(req, socket));
  const clock = setInterval(() => mock.tick(), tick);
  await new Promise((ready) => server.listen(port, '127.0.0.1', ready));
  const stop = () => {
    clearInterval(clock);
    mock.drop();
    server.close();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, key, drop: () => mock.drop(), stop };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const option = (name, other) => (process.argv.includes(name) ? Number(process.argv[process.argv.indexOf(name) + 1]) : other);
  const mock = await startMock({ port: option('--port', 8090), assets: option('--assets', 24) });
  console.log(`${mock.url}/#key=${mock.key}`);
}
