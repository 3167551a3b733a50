// The price table. Ten thousand assets, some fifty rows in the document: a pool of row elements is moved under the view,
// and only what changed since the last frame of the screen is written.

import { compare, percent, price, sign } from './decimal.js';

const overscan = 20; // Rows kept ready on either side; a short list is thereby subscribed to as a whole.
const resortEvery = 2000; // A table that reorders on every tick cannot be read.
const flashTime = 550;
const calm = matchMedia('(prefers-reduced-motion: reduce)');

const columns = [
  { id: 'symbol', title: 'Symbol', text: true },
  { id: 'last', title: 'Last', value: (r) => r.last },
  { id: 'pct', title: 'Change', value: (r) => r.changePct, hint: 'Change over the day' },
  { id: 'bid', title: 'Bid', value: (r) => r.bid },
  { id: 'ask', title: 'Ask', value: (r) => r.ask },
  { id: 't1', title: 'TWAP 1m', value: (r) => r.twap['1m'], hint: 'Time-weighted average over the last minute' },
  { id: 't5', title: 'TWAP 5m', value: (r) => r.twap['5m'], hint: 'Time-weighted average over the last 5 minutes' },
  { id: 't15', title: 'TWAP 15m', value: (r) => r.twap['15m'], hint: 'Time-weighted average over the last 15 minutes' },
  { id: 'spark', title: 'Last hour' },
];

function element(tag, className, role) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (role) node.setAttribute('role', role);
  return node;
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// One pooled row: its cells, and the symbol it stands for at present.
class RowView {
  constructor(onChoose) {
    this.node = element('div', 'row', 'row');
    this.symbol = element('div', 'symbol', 'gridcell');
    this.name = document.createTextNode('');
    this.badge = element('i');
    this.symbol.append(this.name, this.badge);
    this.last = element('div', 'last', 'gridcell');
    this.pct = element('div', 'pct', 'gridcell');
    this.soft = [];
    this.node.append(this.symbol, this.last, this.pct);
    for (let i = 0; i < 5; i++) {
      this.soft.push(element('div', 'soft', 'gridcell'));
      this.node.append(this.soft[i]);
    }
    const box = element('div', 'spark', 'gridcell');
    this.canvas = element('canvas');
    this.canvas.setAttribute('aria-hidden', 'true');
    box.append(this.canvas);
    this.node.append(box);
    this.node.addEventListener('click', () => this.row && onChoose(this.row.symbol));
  }

  place(row, position, height, selected) {
    if (this.row !== row) {
      this.row = row;
      this.last.getAnimations().forEach((a) => a.cancel());
      row.flash = 0;
      this.drawn = '';
    }
    this.node.hidden = false;
    this.node.style.transform = `translateY(${position * height}px)`;
    this.node.setAttribute('aria-rowindex', position + 2);
    this.node.id = `row-${row.index}`;
    this.node.dataset.symbol = row.symbol;
    this.node.setAttribute('aria-selected', String(selected));
    this.node.classList.toggle('selected', selected);
    this.paint();
  }

  paint() {
    const { row } = this;
    if (this.name.data !== row.symbol) this.name.data = row.symbol;
    const mark = row.state !== 'active' ? row.state : row.stale ? 'stale' : '';
    put(this.badge, mark);
    this.badge.hidden = !mark;
    this.node.classList.toggle('stale', Boolean(mark));
    put(this.last, price(row.last, row.decimals));
    this.last.className = row.direction > 0 ? 'last up' : row.direction < 0 ? 'last down' : 'last';
    put(this.pct, percent(row.changePct));
    const way = sign(row.changePct);
    this.pct.className = way > 0 ? 'pct up' : way < 0 ? 'pct down' : 'pct';
    [row.bid, row.ask, row.twap['1m'], row.twap['5m'], row.twap['15m']].forEach((v, i) => put(this.soft[i], price(v, row.decimals)));
    this.flash();
    this.spark();
  }

  flash() {
    const way = this.row.flash;
    this.row.flash = 0;
    if (way === 0 || calm.matches) return;
    const colour = way > 0 ? 'rgb(63 199 150 / 26%)' : 'rgb(242 112 122 / 26%)';
    this.last.animate([{ backgroundColor: colour }, { backgroundColor: 'transparent' }], { duration: flashTime, easing: 'ease-out' });
  }

  spark() {
    const points = this.row.spark?.points || [];
    const state = points.length < 2 ? 'none' : `${points.length} ${points.at(-1)} ${points[0]}`;
    if (state === this.drawn) return;
    this.drawn = state;
    drawSpark(this.canvas, points);
  }
}

function drawSpark(canvas, points) {
  const ratio = devicePixelRatio || 1;
  const width = 68;
  const height = 20;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  if (points.length < 2) return;
  const pen = canvas.getContext('2d');
  pen.scale(ratio, ratio);
  const low = Math.min(...points);
  const span = Math.max(...points) - low || 1;
  const x = (i) => 1 + (i * (width - 4)) / (points.length - 1);
  const y = (v) => height - 3 - ((v - low) / span) * (height - 6);
  pen.beginPath();
  points.forEach((v, i) => (i ? pen.lineTo(x(i), y(v)) : pen.moveTo(x(i), y(v))));
  pen.lineWidth = 1.2;
  pen.lineJoin = 'round';
  pen.strokeStyle = points.at(-1) >= points[0] ? '#3fc796' : '#f2707a';
  pen.stroke();
  pen.beginPath();
  pen.arc(x(points.length - 1), y(points.at(-1)), 1.7, 0, 7);
  pen.fillStyle = pen.strokeStyle;
  pen.fill();
}

export class PriceTable extends EventTarget {
  constructor(market) {
    super();
    this.market = market;
    this.grid = document.getElementById('grid');
    this.body = document.getElementById('grid-body');
    this.pool = [];
    this.shown = new Map(); // symbol → RowView now in the document
    this.order = [];
    this.sort = { column: null, down: false }; // Until asked: the order of the engine's configuration.
    this.filter = '';
    this.selected = '';
    this.dirty = new Set();
    this.buildHead();
    this.listen();
  }

  buildHead() {
    const head = document.getElementById('grid-head');
    this.grid.setAttribute('aria-colcount', columns.length);
    this.heads = columns.map((column) => {
      const cell = element('div', '', 'columnheader');
      if (!column.text && !column.value) {
        cell.append(Object.assign(element('button'), { textContent: column.title, type: 'button', disabled: true }));
      } else {
        const button = Object.assign(element('button'), { type: 'button', textContent: column.title, title: column.hint || '' });
        button.addEventListener('click', () => this.sortBy(column));
        cell.append(button);
      }
      head.append(cell);
      return cell;
    });
    this.markHead();
  }

  markHead() {
    columns.forEach((column, i) => {
      if (column === this.sort.column) this.heads[i].setAttribute('aria-sort', this.sort.down ? 'descending' : 'ascending');
      else this.heads[i].removeAttribute('aria-sort');
    });
  }

  listen() {
    this.grid.addEventListener('scroll', () => this.schedule(), { passive: true });
    new ResizeObserver(() => this.schedule()).observe(this.grid);
    this.grid.addEventListener('keydown', (event) => this.keyed(event));
    const filter = document.getElementById('filter');
    filter.addEventListener('input', () => {
      this.filter = filter.value.trim().toUpperCase();
      this.grid.scrollTop = 0;
      this.arrange();
    });
    filter.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && this.order.length > 0) this.choose(this.order[0].symbol);
      if (event.key === 'ArrowDown') this.grid.focus();
    });
    this.market.addEventListener('row', ({ detail }) => this.changed(detail));
    setInterval(() => this.sort.column?.value && !document.hidden && this.arrange(), resortEvery);
  }

  keyed(event) {
    if (event.target !== this.grid) return;
    const page = Math.max(1, Math.floor(this.grid.clientHeight / this.rowHeight()) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (step === undefined || this.order.length === 0) return;
    event.preventDefault();
    const now = this.order.findIndex((r) => r.symbol === this.selected);
    const next = Math.min(this.order.length - 1, Math.max(0, now + step));
    this.choose(this.order[next].symbol);
    this.reveal(next);
  }

  reveal(position) {
    const height = this.rowHeight();
    const top = position * height;
    const view = this.grid.clientHeight - height;
    if (top < this.grid.scrollTop) this.grid.scrollTop = top;
    else if (top + height > this.grid.scrollTop + view) this.grid.scrollTop = top + height - view;
  }

  rowHeight() {
    return parseInt(getComputedStyle(document.documentElement).getPropertyValue('--row'), 10) || 28;
  }

  sortBy(column) {
    this.sort = { column, down: this.sort.column === column ? !this.sort.down : !column.text };
    this.markHead();
    this.arrange();
  }

  choose(symbol) {
    this.selected = symbol;
    this.schedule();
    this.dispatchEvent(new CustomEvent('choose', { detail: symbol }));
  }

  // Filters and sorts. Assets without a value stay at the end whichever way the arrow points.
  arrange() {
    const { column, down } = this.sort;
    const rows = [...this.market.rows.values()].filter((r) => r.symbol.toUpperCase().includes(this.filter));
    if (column === null) rows.sort((a, b) => a.index - b.index);
    else if (column.text) rows.sort((a, b) => (a.symbol < b.symbol ? -1 : 1) * (down ? -1 : 1));
    else rows.sort((a, b) => this.byValue(column.value(a), column.value(b), down) || a.index - b.index);
    this.order = rows;
    const empty = document.getElementById('grid-empty');
    empty.hidden = rows.length > 0;
    empty.textContent = this.filter ? `No symbol contains “${this.filter}”.` : 'Waiting for the list of assets.';
    const all = this.market.rows.size;
    document.getElementById('shown').textContent = rows.length === all ? '' : `${rows.length} of ${all}`;
    this.grid.setAttribute('aria-rowcount', rows.length + 1);
    this.schedule();
  }

  byValue(a, b, down) {
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    return down ? compare(b, a) : compare(a, b);
  }

  changed(row) {
    this.dirty.add(row);
    if (this.painting || !this.shown.has(row.symbol)) return;
    this.painting = requestAnimationFrame(() => this.paintDirty());
  }

  paintDirty() {
    this.painting = 0;
    for (const row of this.dirty) this.shown.get(row.symbol)?.paint();
    this.dirty.clear();
  }

  schedule() {
    if (!this.laying) this.laying = requestAnimationFrame(() => this.lay());
  }

  lay() {
    this.laying = 0;
    const height = this.rowHeight();
    this.body.style.height = `${this.order.length * height}px`;
    const first = Math.max(0, Math.floor(this.grid.scrollTop / height) - overscan);
    const visible = Math.ceil(this.grid.clientHeight / height);
    const rows = this.order.slice(first, first + visible + 2 * overscan);
    const before = this.shown;
    const wanted = new Set(rows.map((r) => r.symbol));
    const free = [...before].filter(([symbol]) => !wanted.has(symbol)).map(([, view]) => view);
    const spare = [...this.pool, ...free];
    this.shown = new Map();
    rows.forEach((row, i) => {
      const view = before.get(row.symbol) || spare.pop() || this.grow();
      this.shown.set(row.symbol, view);
      view.place(row, first + i, height, row.symbol === this.selected);
    });
    spare.forEach((view) => (view.node.hidden = true));
    this.pool = spare;
    this.announceView();
  }

  grow() {
    const view = new RowView((symbol) => this.choose(symbol));
    this.body.append(view.node);
    return view;
  }

  announceView() {
    const chosen = this.market.get(this.selected);
    if (chosen && this.shown.has(this.selected)) this.grid.setAttribute('aria-activedescendant', `row-${chosen.index}`);
    else this.grid.removeAttribute('aria-activedescendant');
    const symbols = [...this.shown.keys()];
    const print = symbols.slice().sort().join();
    if (print === this.lastView) return;
    this.lastView = print;
    this.dispatchEvent(new CustomEvent('view', { detail: symbols }));
  }
}
