// The REST side: the key, one fetch for everything, and problems as exceptions.

const base = '/api/v1';
const keyShape = /^px_[a-z0-9]+_[A-Za-z0-9_-]+$/;
const keySlot = 'pxengine.key';

// An RFC 9457 problem, or a failure of the network dressed as one.
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `The engine answered ${status}`);
    this.status = status;
    this.code = body.code || '';
    this.errors = Array.isArray(body.errors) ? body.errors : [];
    this.retryAfter = body.retryAfter || 0;
  }
}

// Takes the key out of the address (/#key=px_…), so that it stays neither in the bar nor in the history. It lives as long as the tab.
export function adoptKeyFromAddress() {
  const found = new URLSearchParams(location.hash.slice(1)).get('key');
  if (found === null) return false;
  history.replaceState(null, '', location.pathname + location.search);
  return adoptKey(found);
}

export function adoptKey(text) {
  const key = text.trim();
  if (!keyShape.test(key)) return false;
  sessionStorage.setItem(keySlot, key);
  return true;
}

export function key() {
  return sessionStorage.getItem(keySlot) || '';
}

export function forgetKey() {
  sessionStorage.removeItem(keySlot);
}

async function problemOf(answer) {
  let body = {};
  try {
    body = await answer.json();
  } catch {
    // Not JSON: a proxy in front answered. The status says enough.
  }
  return new Problem(answer.status, { ...body, retryAfter: Number(answer.headers.get('Retry-After')) || 0 });
}

async function call(method, path, body, extra = {}) {
  const headers = { Accept: 'application/json', ...extra };
  if (key()) headers['X-API-Key'] = key();
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let answer;
  try {
    answer = await fetch(base + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Problem(0, { detail: 'The engine cannot be reached' });
  }
  if (!answer.ok) throw await problemOf(answer);
  return answer.status === 204 ? null : answer.json().catch(() => null);
}

// Lists come bare or wrapped ({"assets":[…],"next_cursor":…}); both mean the same.
export function listOf(answer, name) {
  if (Array.isArray(answer)) return answer;
  return answer?.[name] || answer?.data || answer?.items || [];
}

async function paged(path, name, most) {
  const all = [];
  let cursor = '';
  do {
    const join = path.includes('?') ? '&' : '?';
    const answer = await call('GET', path + (cursor ? `${join}cursor=${encodeURIComponent(cursor)}` : ''));
    all.push(...listOf(answer, name));
    cursor = answer?.next_cursor || '';
  } while (cursor && all.length < most);
  return all;
}

function token() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');
}

export const status = () => call('GET', '/status');
export const assets = () => paged('/assets?limit=5000', 'assets', 10000);
export const prices = (symbols) =>
  call('GET', `/prices?symbols=${symbols.map(encodeURIComponent).join(',')}`).then((a) => listOf(a, 'prices'));
export const candles = (symbol, interval, limit) =>
  call('GET', `/candles/${encodeURIComponent(symbol)}?interval=${interval}&limit=${limit}&partial=true`);
export const alerts = () => paged('/alerts', 'alerts', 5000);
export const channels = () => paged('/channels', 'channels', 200);
export const lastFires = (most) => call('GET', `/events?order=desc&limit=${most}`).then((a) => listOf(a, 'events'));
export const alertDepth = (symbol) => call('GET', `/assets/${encodeURIComponent(symbol)}/alert-depth`);
export const actOnAlert = (id, verb) => call('POST', `/alerts/${encodeURIComponent(id)}:${verb}`, {});
export const removeAlert = (id) => call('DELETE', `/alerts/${encodeURIComponent(id)}`);

// One token per intent: if the answer is lost on the way, the second try finds the stored one instead of making a second alert.
export async function createAlert(alert) {
  const headers = { 'Idempotency-Key': token() };
  try {
    return await call('POST', '/alerts', alert, headers);
  } catch (problem) {
    if (problem.status !== 0) throw problem;
    return call('POST', '/alerts', alert, headers);
  }
}
