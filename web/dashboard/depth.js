// Where alerts wait: bars beside the price scale, as long as many alerts wait there. Counts are those of all owners together.

import { group } from './decimal.js';
import * as api from './api.js';

const every = 2000;
const longest = 88; // pixels

export class Depth {
  // `place` gives the height of a price on the chart in pixels, or null when it is out of sight.
  constructor(place) {
    this.box = document.getElementById('depth');
    this.place = place;
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
    const most = Math.max(...this.levels.map((l) => l.count), 1);
    const seen = this.levels.map((l) => ({ ...l, y: this.place(Number(l.level)) })).filter((l) => l.y !== null);
    const print = JSON.stringify(seen);
    if (print === this.drawn) return;
    this.drawn = print;
    this.box.replaceChildren(...seen.map((l) => this.bar(l, most)));
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
}
