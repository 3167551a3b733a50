// Starts what the browser looks at: a venue and an engine from PX_BIN, or the mock with PX_MOCK=1.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startMock } from './mock.mjs';

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

export function skip(reason) {
  console.log(`SKIP: ${reason}`);
  process.exit(process.env.PX_REQUIRE_ALL === '1' ? 1 : 77);
}

// The build tree keeps each program in its folder, a package keeps all in one; both are looked into.
function program(name, folders) {
  const found = folders.map((f) => join(process.env.PX_BIN || '', f, name)).find(existsSync);
  return found || skip(`${name} is not in ${process.env.PX_BIN}`);
}

export function freePort() {
  return new Promise((done) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}

async function ready(url, child, log) {
  for (let i = 0; i < 150; i++) {
    if (child.exitCode !== null) break;
    const answer = await fetch(url).catch(() => null);
    if (answer?.ok) return;
    await pause(200);
  }
  throw new Error(`nothing at ${url}; its log ends:\n${readFileSync(log, 'utf8').slice(-3000)}`);
}

async function stop(child) {
  if (child.exitCode !== null) return;
  const gone = new Promise((done) => child.once('exit', done));
  child.kill('SIGTERM');
  if (!(await Promise.race([gone.then(() => true), pause(8000)]))) child.kill('SIGKILL');
}


const symbols = 'BTCUSD,ETHUSD,SOLUSD,XRPUSD,DOGEUSD,ADAUSD,LTCUSD,LINKUSD,BNBUSD,AAPLUSD,MSFTUSD,EURUSD,XAUUSD';

// The venue itself tells its symbols, their decimals and steps (--list); the engine is configured with just these.
function configure(venue, port, data) {
  const rows = execFileSync(venue, ['--symbols', symbols, '--list'], { encoding: 'utf8' }).trim().split('\n').map((line) => line.trim().split(/\s+/));
  const assets = rows.filter((r) => /^\d+$/.test(r[2])).map(([name, symbol, decimals, sizeDecimals]) =>
    `  - {symbol: ${symbol}, decimals: ${decimals}, size_decimals: ${sizeDecimals}, sources: {demo: ${name}}}`);
  const file = join(data, 'pxengine.yaml');
  const venues = `  - {name: demo, dialect: binance, url: "ws://127.0.0.1:${port}/stream", clock: receipt, stale_after: 10s}`;
  writeFileSync(file, `venues:\n${venues}\nassets:\n${assets.join('\n')}\n`);
  return file;
}

async function startEngine() {
  const venue = program('pxvenue', ['', 'tools/pxvenue', 'bin']);
  const engine = program('pxengine', ['', 'engine', 'bin']);
  const folder = mkdtempSync(join(tmpdir(), 'px-browser-'));
  const [venuePort, port] = [await freePort(), await freePort()];
  const log = join(folder, 'log');
  const out = openSync(log, 'a');
  const config = configure(venue, venuePort, folder);
  const data = join(folder, 'data');
  const children = [];
  const start = (file, args) => {
    const child = spawn(file, args, { stdio: ['ignore', out, out] });
    children.unshift(child);
    return child;
  };
  const close = async () => {
    for (const child of children) await stop(child);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    start(venue, ['--symbols', symbols, '--rate', '4', '--seed', '11', '--port', String(venuePort)]);
    const url = `http://127.0.0.1:${port}`;
    let running;
    const run = async () => {
      running = start(engine, ['run', '--config', config, '--set', `listen=127.0.0.1:${port}`, '--set', `data=${data}`]);
      await ready(`${url}/api/v1/status`, running, log);
    };
    const drop = async () => {
      await stop(running);
      await run();
    };
    await run();
    const key = execFileSync(engine, ['key', 'add', '--data', data], { encoding: 'utf8' }).match(/px_[a-z0-9]{8}_[\w-]{43}/)[0];
    return { url, key, drop, log: () => readFileSync(log, 'utf8').slice(-4000), stop: close };
  } catch (error) {
    await close();
    throw error;
  }
}

export function startSite() {
  return process.env.PX_MOCK === '1' ? startMock() : startEngine();
}
