// The live side: one WebSocket that comes back by itself. Callers say what they want; the feed works out the difference.

const silenceLimit = 12000; // The engine speaks at least every second once something is subscribed.
const pingEvery = 5000;
const settle = 120; // Scrolling asks for many rows on its way; only where it comes to rest matters.
const perFrame = 100; // Symbols in one request, which keeps a frame far below the engine's 64 KB.
const closeAuth = 4003;
const patient = new Set([4006, 4008, 4029]); // Too many connections, too slow, too fast: all say "later".

export class Feed extends EventTarget {
  constructor(url) {
    super();
    this.url = url;
    this.token = '';
    this.wanted = new Map(); // channel key → {params, symbols}
    this.held = new Map(); // channel key → symbols the engine was asked for on this connection
    this.pending = new Map(); // req_id → what to do with its answer
    this.tries = 0;
    this.reqId = 0;
    this.rtt = null;
    this.offset = 0; // server clock minus ours, ms
    this.state = 'closed';
  }

  start(token) {
    this.token = token;
    this.connect();
    if (!this.watch) this.watch = setInterval(() => this.tend(), 1000);
  }

  // A changed key means a new session.
  restart(token) {
    this.token = token;
    this.lastFire = null;
    this.tries = 0;
    if (this.socket) this.socket.close(1000);
    else this.connect();
  }

  // Replaces the wish for one channel. `params` tells apart e.g. the intervals of ohlc.
  want(channel, symbols, params = {}) {
    const id = channel + JSON.stringify(params);
    this.wanted.set(id, { channel, params, symbols: new Set(symbols) });
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.reconcile(), settle);
  }

  connect() {
    clearTimeout(this.retry);
    this.enter('connecting');
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.lastHeard = performance.now();
    socket.onopen = () => this.opened();
    socket.onmessage = (event) => this.heard(event.data);
    socket.onclose = (event) => this.closed(socket, event);
  }

  enter(state, detail = '') {
    this.state = state;
    this.dispatchEvent(new CustomEvent('state', { detail: { state, detail } }));
  }

  opened() {
    this.held.clear();
    this.pending.clear();
    this.since = performance.now();
    this.enter('open');
    if (this.token) {
      this.request('auth', { token: this.token }, (answer) => this.authenticated(answer));
    }
    this.ping();
    this.reconcile();
  }

  authenticated(answer) {
    if (answer.success === false) {
      this.dispatchEvent(new CustomEvent('refused', { detail: answer.error || 'It was not accepted' }));
      return;
    }
    this.subscribeAlerts();
    this.dispatchEvent(new CustomEvent('authenticated'));
  }

  // Fires are kept by the engine: after a loss it tells those since the last one heard.
  subscribeAlerts() {
    const since = this.lastFire;
    const params = { channel: 'alerts', ...(since && { resume: since }) };
    this.request('subscribe', params, ({ result }) => {
      if (!since && result?.epoch) this.lastFire = { epoch: result.epoch, seq: result.seq };
    });
  }

  noteFires(fires) {
    for (const { epoch, seq } of fires) {
      if (Number.isInteger(seq) && seq > (this.lastFire?.seq ?? -1)) this.lastFire = { epoch, seq };
    }
  }

  closed(socket, event) {
    if (socket !== this.socket) return;
    this.socket = null;
    this.rtt = null;
    if (event.code === closeAuth && this.token) {
      this.token = '';
      this.dispatchEvent(new CustomEvent('refused', { detail: 'It was not accepted' }));
    }
    // A session that lasted starts the series anew; one that died at once continues it.
    if (this.since && performance.now() - this.since > 10000) this.tries = 0;
    this.since = 0;
    const wait = event.code === 1000 ? 0 : this.backoff(patient.has(event.code));
    this.enter('waiting', wait > 0 ? `retry in ${Math.ceil(wait / 1000)} s` : '');
    this.retry = setTimeout(() => this.connect(), wait);
  }

  // Half fixed, half random: a restarted engine shall not meet all its readers in the same instant.
  backoff(later) {
    if (this.askedToWait) {
      const wait = this.askedToWait;
      this.askedToWait = 0;
      return wait;
    }
    const ceiling = Math.min(20000, (later ? 4000 : 400) * 2 ** this.tries++);
    return ceiling / 2 + (Math.random() * ceiling) / 2;
  }

  tend() {
    if (!this.socket || this.socket.readyState > WebSocket.OPEN) return;
    const now = performance.now();
    if (now - this.lastHeard > silenceLimit) {
      this.socket.close(4000, 'silent');
      this.closed(this.socket, { code: 4000 }); // A dead path delivers no close event for minutes.
    } else if (now - (this.lastPing || 0) > pingEvery) {
      this.ping();
    }
  }

  ping() {
    const sent = performance.now();
    this.lastPing = sent;
    this.request('ping', undefined, (answer) => {
      const now = performance.now();
      this.rtt = now - sent;
      const theirs = Date.parse(answer.time_in || '');
      if (theirs) this.offset = theirs - (Date.now() - this.rtt / 2);
    });
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  request(method, params, answered) {
    const id = ++this.reqId;
    if (answered) this.pending.set(id, answered);
    this.send({ method, params, req_id: id });
  }

  reconcile() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    for (const [id, { channel, params, symbols }] of this.wanted) {
      const held = this.held.get(id) || new Set();
      const more = [...symbols].filter((s) => !held.has(s));
      const less = [...held].filter((s) => !symbols.has(s));
      this.batched('unsubscribe', channel, params, less);
      this.batched('subscribe', channel, { ...params, snapshot: true }, more);
      this.held.set(id, new Set(symbols));
    }
  }

  batched(method, channel, params, symbols) {
    for (let i = 0; i < symbols.length; i += perFrame) {
      this.request(method, { channel, ...params, symbol: symbols.slice(i, i + perFrame) });
    }
  }

  heard(text) {
    this.lastHeard = performance.now();
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return; // Counted by nobody: the next frame stands for itself.
    }
    if (frame.method) this.answered(frame);
    else if (frame.code === 'slow_consumer') this.dispatchEvent(new CustomEvent('slow'));
    else if (frame.channel === 'status') this.announced(frame);
    else if (frame.channel && frame.data) this.told(frame);
  }

  told(frame) {
    if (frame.channel === 'alerts') this.noteFires(frame.data);
    this.dispatchEvent(new CustomEvent('data', { detail: frame }));
  }

  announced(frame) {
    const news = frame.data?.[0] || {};
    if (news.reconnect_after_ms) this.askedToWait = Number(news.reconnect_after_ms);
    this.dispatchEvent(new CustomEvent('status', { detail: news }));
  }

  answered(frame) {
    const answered = this.pending.get(frame.req_id);
    if (answered) {
      this.pending.delete(frame.req_id);
      answered(frame);
    } else if (frame.success === false) {
      this.dispatchEvent(new CustomEvent('refusal', { detail: frame }));
    }
  }
}
