// Alerts: the form, the list of what is set, the list of what fired, and how a fire is made known.

import { group, isDecimal, price } from './decimal.js';
import * as api from './api.js';

const mostFires = 200; // Shown, not kept: the engine keeps them all.
const mostListed = 300;
const toastTime = 12000;
const mostToasts = 4;
const mostConditions = 5;

// Values of the API, words and marks for people, and which fields each takes.
const ops = [
  ['crossing_up', 'crosses up', '↑', 'level'], ['crossing_down', 'crosses down', '↓', 'level'], ['crossing', 'crosses', '↕', 'level'],
  ['greater_or_equal', 'is at or above', '≥', 'level'], ['less_or_equal', 'is at or below', '≤', 'level'],
  ['greater_than', 'is above', '>', 'level'], ['less_than', 'is below', '<', 'level'],
  ['entering_channel', 'enters a channel', '⇥', 'channel'], ['exiting_channel', 'leaves a channel', '⇤', 'channel'],
  ['inside_channel', 'is inside of a channel', '∈', 'channel'], ['outside_channel', 'is outside of a channel', '∉', 'channel'],
  ['moving_up', 'rises by', '↗', 'move'], ['moving_down', 'falls by', '↘', 'move'],
  ['moving_up_pct', 'rises by percent', '↗', 'move'], ['moving_down_pct', 'falls by percent', '↘', 'move'],
  ['stale', 'is silent', '…', 'stale'],
];
const sources = [['last', 'last price'], ['bid', 'bid'], ['ask', 'ask'], ['mid', 'mid'], ['twap_1m', '1 min average'], ['twap_5m', '5 min average'],
  ['twap_15m', '15 min average'], ['close', 'close of a bar']];
const frequencies = [['once', 'once'], ['every_time', 'every time'], ['once_per_minute', 'once a minute'], ['once_per_bar', 'once a bar'],
  ['once_per_bar_close', 'at the close of a bar']];
const bars = ['1m', '5m', '15m', '1h', '4h', '1d'];
const windows = { move: ['1m', '5m', '15m', '1h'], stale: ['10s', '30s', '1m', '5m', '1h'] };
const acts = { pause: ['‖', 'Pause'], resume: ['▶', 'Resume'], rearm: ['↻', 'Arm again'], test: ['✉', 'Send a test to its channels'] };
const fieldOf = { lower: 'level', amount: 'level', abs: 'hysteresis', pct: 'hysteresis' }; // The API's names that share a field here.
const spellings = { '>=': 'greater_or_equal', '<=': 'less_or_equal', '>': 'greater_than', '<': 'less_than' };

const known = (op) => ops.find(([id]) => id === (spellings[op] || op));
const opWords = (op) => known(op)?.[1] || String(op).replaceAll('_', ' ');
const shapeOf = (op) => known(op)?.[3] || 'level';
const opMark = (op) => known(op)?.[2] || '•';
const byId = (id) => document.getElementById(id);

function clock(time) {
  const date = new Date(time || Date.now());
  return Number.isNaN(date.getTime()) ? '' : date.toTimeString().slice(0, 8);
}

function node(tag, className, text = '') {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

// What a fire or an alert compares with, in words.
function compares({ op, level }) {
  return `${opWords(op)} ${group(level ?? '')}`.trim();
}

function conditionText({ op, level, lower, upper, amount, window }) {
  if (lower !== undefined) return `${group(lower)} – ${group(upper)}`;
  if (amount !== undefined) return `${group(amount)}${String(op).endsWith('_pct') ? ' %' : ''} in ${window}`;
  return level === undefined ? window || '' : group(level);
}

function levelOf({ condition, all_of: all }) {
  return all ? all.map((c) => `${opMark(c.op)} ${conditionText(c)}`).join(' and ') : conditionText(condition || {});
}

export class Alerts extends EventTarget {
  constructor() {
    super();
    this.list = new Map();
    this.fires = [];
    this.seen = new Set();
    this.symbol = '';
    this.others = []; // Conditions that must be true as well as the one in the fields.
    this.form = byId('alert-form');
    this.level = byId('form-level');
    byId('form-op').append(...ops.map(([value, words]) => new Option(words, value)));
    byId('form-source').append(...sources.map(([value, words]) => new Option(words, value)));
    byId('form-frequency').append(...frequencies.map(([value, words]) => new Option(words, value)));
    byId('form-bar').append(...bars.map((bar) => new Option(bar, bar)));
    this.shape();
    this.listen();
    this.draw();
    this.drawFires();
  }

  listen() {
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.create();
    });
    byId('form-and').addEventListener('click', () => this.addCondition());
    ['form-op', 'form-source', 'form-frequency'].forEach((id) => byId(id).addEventListener('change', () => this.shape()));
    this.level.addEventListener('input', () => {
      this.touched = true;
      this.clearErrors();
    });
    byId('key-form').addEventListener('submit', (event) => {
      event.preventDefault();
      const field = byId('key-text');
      const good = api.adoptKey(field.value);
      field.value = '';
      this.keyError(good ? '' : 'A key looks like px_, eight characters, _ and a secret.');
      if (good) this.dispatchEvent(new CustomEvent('key'));
    });
    byId('sound').addEventListener('click', (event) => this.toggleSound(event.currentTarget));
    byId('notify').addEventListener('click', (event) => this.toggleNotify(event.currentTarget));
  }

  // Shows the fields that the chosen operator has.
  shape() {
    const { op, source, frequency, window } = this.form.elements;
    const shape = shapeOf(op.value);
    const show = (part, shown) => (this.form.querySelector(`[data-part="${part}"]`).hidden = !shown);
    show('level', shape !== 'stale');
    show('upper', shape === 'channel');
    show('window', shape in windows);
    show('source', shape === 'level' || shape === 'channel');
    show('bar', frequency.value.startsWith('once_per_bar') || source.value === 'close');
    byId('form-level-name').textContent = { channel: 'Lower', move: op.value.endsWith('_pct') ? 'Percent' : 'Amount' }[shape] || 'Level';
    byId('form-level-hint').hidden = shape === 'move';
    const choice = windows[shape] || [];
    if (choice.join() !== [...window.options].map((o) => o.value).join()) window.replaceChildren(...choice.map((w) => new Option(w, w)));
    if (shape === 'move' && !this.touched) this.level.value = '';
  }

  keyError(text) {
    byId('key-error').textContent = text;
    byId('key-error').hidden = !text;
  }

  // With a key the form, without one how to get it.
  admit(admitted) {
    this.admitted = admitted;
    this.form.hidden = !admitted;
    byId('key-form').hidden = admitted;
    if (!admitted) {
      this.list.clear();
      this.fires = [];
      this.seen.clear();
    }
    this.draw();
    this.drawFires();
  }

  // The level follows the price of a newly chosen symbol, but never what the user typed.
  choose(row) {
    const changed = this.symbol !== row.symbol;
    this.symbol = row.symbol;
    this.decimals = row.decimals;
    byId('form-symbol').textContent = row.symbol;
    if (changed) {
      this.touched = false;
      this.level.value = '';
      this.others = []; // They are about one symbol, all of them.
      this.showConditions();
      this.clearErrors();
    }
    this.prefill(row);
  }

  prefill(row) {
    if (row.symbol === this.symbol && !this.touched && !this.level.value && row.last) this.level.value = row.last;
  }

  setLevel(text) {
    this.level.value = text;
    this.touched = true;
    this.clearErrors();
    if (matchMedia('(min-width: 1101px)').matches && this.admitted) this.level.focus({ preventScroll: true });
  }

  clearErrors() {
    this.form.querySelectorAll('[aria-invalid]').forEach((n) => n.removeAttribute('aria-invalid'));
    this.form.querySelectorAll('.error').forEach((n) => (n.hidden = true));
    byId('form-done').textContent = '';
  }

  // The condition in the fields joins the others, and the fields are free for the next one.
  addCondition() {
    if (this.others.length + 1 >= mostConditions) return;
    this.others.push(this.condition());
    this.level.value = byId('form-upper').value = '';
    this.touched = true;
    this.showConditions();
    byId('form-op').focus();
  }

  showConditions() {
    const chips = this.others.map((condition, i) => {
      const chip = node('li', 'chip', `${condition.source || ''} ${opMark(condition.op)} ${conditionText(condition)}`.trim());
      const drop = Object.assign(node('button', 'remove', '×'), { type: 'button' });
      drop.setAttribute('aria-label', `Leave out: ${opWords(condition.op)} ${conditionText(condition)}`);
      drop.addEventListener('click', () => {
        this.others.splice(i, 1);
        this.showConditions();
      });
      chip.append(drop);
      return chip;
    });
    byId('form-conditions').replaceChildren(...chips);
    byId('form-conditions').hidden = chips.length === 0;
    byId('form-and').hidden = this.others.length + 1 >= mostConditions;
  }

  async loadChannels() {
    const list = await api.channels().catch(() => []);
    const chosen = new Set(this.channels());
    const choices = list.map((channel) => {
      const box = Object.assign(document.createElement('input'), { type: 'checkbox', value: channel.id, checked: chosen.has(channel.id) });
      const choice = node('label', 'choice');
      const name = channel.name || channel.url || channel.to || 'this browser';
      choice.title = `${channel.type} ${name}`;
      choice.append(box, node('span', '', name), node('em', '', channel.type));
      return choice;
    });
    byId('form-channel-list').replaceChildren(...choices);
    byId('form-channels-none').hidden = choices.length > 0;
  }

  channels() {
    return [...byId('form-channel-list').querySelectorAll('input:checked')].map((box) => box.value);
  }

  // A pointer such as /condition/level names the field; what has no field here stands under the button.
  showProblem(problem) {
    const rest = [];
    for (const { pointer = '', detail } of problem.errors) {
      const parts = pointer.split('/');
      const list = ['channels', 'tags'].find((word) => parts[1] === word);
      const last = list || parts.pop();
      const name = fieldOf[last] || last;
      if (parts[1] === 'all_of' && Number(parts[2]) < this.others.length) {
        rest.push(`condition ${Number(parts[2]) + 1}, ${name}: ${detail}`);
        continue;
      }
      const field = name === 'channels' ? byId('form-channels') : this.form.elements[name];
      const place = this.form.querySelector(`.error[data-for="${CSS.escape(name)}"]`);
      if (!field || !place) {
        rest.push(`${name || 'request'}: ${detail}`);
        continue;
      }
      field.setAttribute('aria-invalid', 'true');
      if (field.closest('details')) field.closest('details').open = true;
      place.textContent = detail;
      place.hidden = false;
    }
    if (problem.errors.length === 0) rest.push(problem.message);
    byId('form-error').textContent = rest.join('. ');
    byId('form-error').hidden = rest.length === 0;
    this.form.querySelector('[aria-invalid]')?.focus();
  }

  async create() {
    this.clearErrors();
    const button = byId('form-create');
    if (button.disabled || !this.symbol) return;
    button.disabled = true;
    try {
      const alert = await api.createAlert(this.body());
      if (alert?.id) this.list.set(alert.id, alert);
      byId('form-name').value = '';
      this.others = [];
      this.showConditions();
      this.draw();
      // A fire may overtake the answer to its own creation; then the answer's state is already old.
      if (this.fires.some((f) => f.alert_id === alert?.id)) this.load();
      byId('form-done').textContent = `Set: ${this.symbol} ${alert?.all_of ? '' : opWords(byId('form-op').value)} ${levelOf(alert || { condition: {} })}`;
    } catch (problem) {
      this.showProblem(problem);
      if (problem.status === 401) this.dispatchEvent(new CustomEvent('refused', { detail: problem.message }));
    } finally {
      button.disabled = false;
    }
  }

  // Numbers go out as typed (without the thousands' commas): the engine is the judge, and says what is wrong with them.
  condition() {
    const { op, source, level, upper, window } = this.form.elements;
    const plain = (field) => field.value.trim().replaceAll(',', '');
    const shape = shapeOf(op.value);
    if (shape === 'stale') return { op: op.value, window: window.value };
    if (shape === 'move') return { op: op.value, amount: plain(level), window: window.value };
    const from = source.value === 'last' ? {} : { source: source.value };
    if (shape === 'channel') return { op: op.value, ...from, lower: plain(level), upper: plain(upper) };
    return { op: op.value, ...from, level: plain(level) };
  }

  body() {
    const fields = this.form.elements;
    const body = { symbol: this.symbol };
    if (this.others.length > 0) body.all_of = [...this.others, this.condition()];
    else body.condition = this.condition();
    const said = (name) => fields[name].value.trim();
    for (const name of ['name', 'cooldown', 'message']) if (said(name)) body[name] = said(name);
    const tags = said('tags').split(',').map((tag) => tag.trim()).filter(Boolean);
    if (tags.length > 0) body.tags = tags;
    if (this.channels().length > 0) body.channels = this.channels();
    if (said('frequency') !== 'once') body.frequency = said('frequency');
    if (!fields.bar.closest('label').hidden || this.others.some((c) => c.source === 'close')) body.bar = said('bar');
    const hysteresis = said('hysteresis').replaceAll(',', '');
    if (hysteresis) body.hysteresis = hysteresis.endsWith('%') ? { pct: hysteresis.slice(0, -1).trim() } : { abs: hysteresis };
    if (said('max_fires')) body.max_fires = Number(said('max_fires'));
    if (said('expires_at')) body.expires_at = new Date(said('expires_at')).toISOString();
    return body;
  }

  async load() {
    try {
      const all = await api.alerts();
      this.list = new Map(all.map((a) => [a.id, a]));
      this.draw();
    } catch (problem) {
      if (problem.status === 401 || problem.status === 403) this.dispatchEvent(new CustomEvent('refused', { detail: problem.message }));
    }
  }

  // The alerts of one symbol that have a level, for the chart.
  linesFor(symbol) {
    return [...this.list.values()]
      .filter((a) => a.symbol === symbol)
      .flatMap((a) => (a.all_of || [a.condition || {}]).flatMap((c) => [c.level, c.lower, c.upper].filter(isDecimal)
        .map((level) => ({ level, title: `${opMark(c.op)} ${(a.name || '').slice(0, 16)}`.trim(), armed: ['armed', 'waiting', 'cooling'].includes(a.state) }))));
  }

  draw() {
    const rows = [...this.list.values()].sort((a, b) => (a.created_at < b.created_at ? 1 : -1));
    const none = this.admitted ? 'None yet. Choose a symbol, a level, and Create.' : 'A key shows your alerts here.';
    // An unchanged list is left alone: a redraw would take back a question just asked, and the focus with it.
    const print = JSON.stringify([rows, none]);
    if (print !== this.drawn) {
      const more = rows.length > mostListed ? `and ${rows.length - mostListed} older ones` : rows.length ? '' : none;
      byId('alert-list').replaceChildren(...rows.slice(0, mostListed).map((a) => this.alertRow(a)), ...(more ? [node('li', 'none', more)] : []));
      this.drawn = print;
    }
    const armed = rows.filter((a) => ['armed', 'waiting', 'cooling'].includes(a.state)).length;
    byId('alert-count').textContent = rows.length ? `${armed} armed of ${rows.length}` : '';
    this.dispatchEvent(new CustomEvent('lines'));
  }

  symbolButton(symbol) {
    const go = node('button', 'go', symbol);
    go.type = 'button';
    go.addEventListener('click', () => this.dispatchEvent(new CustomEvent('go', { detail: symbol })));
    return go;
  }

  alertRow(alert) {
    const row = node('li', '');
    row.dataset.id = alert.id;
    const what = node('div', 'what num');
    const op = alert.all_of ? '' : alert.condition?.op;
    const mark = node('span', 'mark', alert.all_of ? '' : opMark(op));
    mark.setAttribute('role', 'img');
    mark.setAttribute('aria-label', alert.all_of ? 'all of' : opWords(op));
    what.append(this.symbolButton(alert.symbol), mark, levelOf(alert));
    const source = (alert.condition?.source || 'last').replace('last', '');
    const often = (alert.frequency || 'once').replace(/^once$/, '');
    const words = alert.name || `${source} ${opWords(op)}`.trim();
    const tags = (alert.tags || []).map((tag) => `#${tag}`).join(' ');
    const told = alert.channels?.length ? `✉ ${alert.channels.length}` : '';
    const facts = [alert.last_fired_at ? clock(alert.last_fired_at) : '', words, often, tags, told, alert.fires > 1 ? `${alert.fires} fires` : ''].filter(Boolean).join(' · ');
    const sub = node('div', 'sub');
    sub.append(node('span', `badge ${alert.state}`, alert.state), facts);
    sub.title = facts;
    const side = node('div', 'side');
    side.append(...this.actButtons(alert), this.removeButton(alert));
    row.append(what, sub, side);
    return row;
  }

  // What its state allows.
  actButtons(alert) {
    const over = ['fired', 'expired'].includes(alert.state);
    const verbs = [over ? 'rearm' : alert.state === 'paused' ? 'resume' : 'pause', ...(alert.channels?.length ? ['test'] : [])];
    return verbs.map((verb) => {
      const button = node('button', 'act', acts[verb][0]);
      button.type = 'button';
      button.title = acts[verb][1];
      button.setAttribute('aria-label', `${acts[verb][1]}: ${alert.name || alert.symbol}`);
      button.addEventListener('click', () => this.act(alert, verb, button));
      return button;
    });
  }

  async act(alert, verb, button) {
    button.disabled = true;
    try {
      const answer = await api.actOnAlert(alert.id, verb);
      if (verb === 'test') this.toast('Sent', `${answer.deliveries.length} test notification${answer.deliveries.length === 1 ? '' : 's'}`, 'plain', 5000);
      else this.list.set(alert.id, answer);
      this.draw();
    } catch (problem) {
      this.toast('Not done', problem.message, 'plain', 6000);
    }
    button.disabled = false;
  }

  // Deleting asks once, in place: the button itself turns into the question.
  removeButton(alert) {
    const button = node('button', 'remove', '×');
    button.type = 'button';
    button.title = 'Delete';
    button.setAttribute('aria-label', `Delete alert ${alert.name || alert.symbol}`);
    const relax = () => {
      button.classList.remove('sure');
      button.textContent = '×';
    };
    button.addEventListener('blur', relax);
    button.addEventListener('click', () => {
      if (button.classList.contains('sure')) return this.remove(alert, button);
      button.classList.add('sure');
      button.textContent = 'Delete?';
      setTimeout(relax, 4000);
    });
    return button;
  }

  async remove(alert, button) {
    button.disabled = true;
    try {
      await api.removeAlert(alert.id);
    } catch (problem) {
      if (problem.status !== 404) {
        button.disabled = false;
        this.toast('Not deleted', problem.message, 'plain');
        return;
      }
    }
    this.list.delete(alert.id);
    this.draw();
  }

  // What has fired before the page was opened, or while it was away; what the stream tells meanwhile is not told twice.
  async loadFires() {
    const events = await api.lastFires(mostFires).catch(() => []);
    const news = events.filter((fire) => !this.seen.has(`${fire.alert_id} ${fire.fire}`));
    news.forEach((fire) => this.seen.add(`${fire.alert_id} ${fire.fire}`));
    if (news.length === 0) return;
    this.fires = [...this.fires, ...news].sort((a, b) => b.seq - a.seq);
    this.trimFires();
    this.drawFires();
  }

  trimFires() {
    if (this.fires.length <= mostFires) return;
    this.fires.splice(mostFires).forEach((old) => this.seen.delete(`${old.alert_id} ${old.fire}`));
  }

  // Fires may come twice (a replay after reconnecting); alert and number name each once. A snapshot tells what was, quietly.
  fired(frame) {
    let news = false;
    for (const fire of frame.data) {
      const id = `${fire.alert_id} ${fire.fire}`;
      if (this.seen.has(id)) continue;
      this.seen.add(id);
      this.fires.unshift(fire);
      news = true;
      if (frame.type !== 'snapshot') this.makeKnown(fire);
    }
    this.trimFires();
    if (!news) return;
    this.drawFires();
    clearTimeout(this.reload);
    this.reload = setTimeout(() => this.load(), 300); // The state after a fire (fired, waiting, cooling) is the engine's to say.
  }

  drawFires() {
    const none = node('li', 'none', this.admitted ? 'Nothing has fired yet.' : 'Fires of your alerts appear here.');
    byId('fire-list').replaceChildren(...(this.fires.length ? this.fires.map((f) => this.fireRow(f)) : [none]));
  }

  fireRow(fire) {
    const row = node('li', '');
    const what = node('div', 'what num');
    what.append(this.symbolButton(fire.symbol), ` ${group(fire.price)}`);
    const side = node('div', 'side num');
    if (fire.late) side.append(node('span', 'badge late', 'late'));
    side.append(node('span', 'quiet', clock(fire.matched_time || fire.price_time)));
    const sub = node('div', 'sub num', [`${opMark(fire.op)} ${group(fire.level ?? '')}`.trim(), fire.name].filter(Boolean).join(' · '));
    sub.title = [fire.name, compares(fire)].filter(Boolean).join(': ');
    row.append(what, sub, side);
    return row;
  }

  makeKnown(fire) {
    const title = fire.message || fire.name || `${fire.symbol} ${compares(fire)}`;
    const text = `${fire.symbol} at ${price(fire.price)}, ${compares(fire)}`;
    this.toast(title, text, '');
    if (this.sound) this.beep();
    if (this.notify && document.hidden) new Notification(title, { body: text, tag: `${fire.alert_id} ${fire.fire}` });
  }

  toast(title, text, kind, time = toastTime) {
    const box = byId('toasts');
    const toast = node('div', `toast ${kind}`);
    const close = Object.assign(node('button', '', '×'), { type: 'button' });
    close.setAttribute('aria-label', 'Dismiss');
    close.addEventListener('click', () => toast.remove());
    toast.append(node('strong', '', title), node('span', 'num', text), close);
    box.append(toast);
    while (box.children.length > mostToasts) box.firstChild.remove();
    setTimeout(() => toast.remove(), time);
  }

  toggleSound(button) {
    this.sound = !this.sound;
    button.setAttribute('aria-pressed', String(this.sound));
    if (this.sound) this.beep();
  }

  // Two short notes, soft: noticed in a room, not in the next one.
  beep() {
    this.audio ||= new AudioContext();
    [[660, 0], [880, 0.13]].forEach(([pitch, after]) => {
      const at = this.audio.currentTime + after;
      const tone = new OscillatorNode(this.audio, { frequency: pitch });
      const gain = new GainNode(this.audio, { gain: 0.0001 });
      gain.gain.exponentialRampToValueAtTime(0.12, at + 0.015);
      gain.gain.exponentialRampToValueAtTime(0.0001, at + 0.22);
      tone.connect(gain).connect(this.audio.destination);
      tone.start(at);
      tone.stop(at + 0.25);
    });
  }

  async toggleNotify(button) {
    if (!('Notification' in window)) return this.toast('Not available', 'This browser offers no desktop notifications here.', 'plain', 5000);
    if (!this.notify && (await Notification.requestPermission()) !== 'granted') {
      return this.toast('Not allowed', 'Allow notifications for this page in the browser first.', 'plain', 5000);
    }
    this.notify = !this.notify;
    button.setAttribute('aria-pressed', String(this.notify));
  }
}
