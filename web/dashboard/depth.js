// Where alerts wait: bars beside the price scale, as long as many alerts wait there; those out of sight are one number at the upper and
// one at the lower edge. Counts are those of all owners together.

import { group } from './decimal.js';
import * as api from './api.js';

const every = 2000;
const longest = 88; // pixels

export class Depth {
  // `place` gives the height of a price on the chart in pixels from the top, or null while there is no chart; `scale`
  // the width of its price scale, which grows with the digits of a price.
  constructor(place, scale) {
    this.box = document.getElementById('depth');
    this.place = place;
    this.scale = scale;
    this.symbol = '';
    this.levels = [];
    setInterval(() => !document.hidden && this.load(), every);
    setInterval(() => !document.hidden && this.draw(), 250); // the scale moves with every price
  }

  show(symbol) {
    if (symbol === this.symbol) return;
    this.symbol = symbol;
    this.levels = [];
    this.draw();
    this.load();
  }

  async load() {
    const { symbol } = this;
    if (!symbol) return;
    try {
      const { above, below } = await api.alertDepth(symbol);
      if (symbol !== this.symbol) return;
      this.levels = [...above.levels.map((l) => ({ ...l, side: 'above' })), ...below.levels.map((l) => ({ ...l, side: 'below' }))];
      this.draw();
    } catch {
      this.levels = []; // An older engine, or none: nothing is shown rather than something old.
    }
  }

  draw() {
    const placed = this.levels.map((l) => ({ ...l, y: this.place(Number(l.level)) })).filter((l) => l.y !== null);
    const bottom = this.box.clientHeight;
    const seen = placed.filter(({ y }) => y >= 0 && y <= bottom);
    const sum = (levels) => levels.reduce((total, { count }) => total + count, 0);
    const edges = { upper: sum(placed.filter(({ y }) => y < 0)), lower: sum(placed.filter(({ y }) => y > bottom)) };
    const print = JSON.stringify([seen, edges, this.scale()]);
    if (print === this.drawn) return;
    this.drawn = print;
    this.box.style.right = `${this.scale()}px`;
    const most = Math.max(...seen.map((l) => l.count), 1);
    this.box.replaceChildren(...seen.map((l) => this.bar(l, most)), ...Object.entries(edges).filter(([, n]) => n > 0).map(([e, n]) => this.edge(e, n)));
  }

  bar({ level, count, side, y }, most) {
    const bar = document.createElement('span');
    bar.className = side;
    bar.style.top = `${Math.round(y)}px`;
    bar.style.width = `${Math.max(6, Math.round((longest * Math.log1p(count)) / Math.log1p(most)))}px`;
    bar.title = `${count} ${count === 1 ? 'alert waits' : 'alerts wait'} at ${group(level)}`;
    bar.textContent = count > 1 ? String(count) : '';
    return bar;
  }

  edge(which, count) {
    const edge = document.createElement('em');
    edge.className = which;
    edge.title = `${count} ${count === 1 ? 'alert waits' : 'alerts wait'} ${which === 'upper' ? 'above' : 'below'} what the chart shows`;
    edge.textContent = `${which === 'upper' ? '▲' : '▼'} ${group(String(count))}`;
    return edge;
  }
}
