// What is known about each asset: one row per symbol, filled by the first REST answers and kept fresh by frames.

import { compare } from './decimal.js';

const sparkMinutes = 60;

function emptyRow(asset, index) {
  return {
    index,
    symbol: asset.symbol,
    decimals: asset.decimals ?? asset.scale,
    state: asset.state || 'active',
    last: null, bid: null, ask: null, change: null, changePct: null, high: null, low: null, volume: null,
    twap: { '1m': null, '5m': null, '15m': null },
    venue: '', stale: false, time: 0,
    direction: 0, // sign of the last move, shown as colour
    flash: 0, // the move not yet shown
    spark: null,
  };
}

export class Market extends EventTarget {
  constructor() {
    super();
    this.rows = new Map();
    this.latest = 0; // newest timestamp of any update, in ms of the server's clock
  }

  load(assets) {
    assets.forEach((asset, i) => {
      if (!this.rows.has(asset.symbol)) this.rows.set(asset.symbol, emptyRow(asset, i));
    });
  }

  get(symbol) {
    return this.rows.get(symbol);
  }

  touched(row) {
    this.dispatchEvent(new CustomEvent('row', { detail: row }));
  }

  frame({ channel, type, data }) {
    for (const item of data) {
      const row = this.rows.get(item.symbol);
      if (!row) continue;
      if (channel === 'ticker') this.ticker(row, item, type);
      else if (channel === 'avg') this.average(row, item);
    }
  }

  ticker(row, item, type) {
    this.moved(row, item.last, type !== 'snapshot');
    row.bid = item.bid ?? row.bid;
    row.ask = item.ask ?? row.ask;
    row.high = item.high ?? row.high;
    row.low = item.low ?? row.low;
    row.volume = item.volume ?? row.volume;
    row.change = item.change ?? row.change;
    row.changePct = item.change_pct ?? row.changePct;
    row.venue = item.venue || row.venue;
    row.stale = Boolean(item.stale);
    this.dated(row, item.timestamp);
    this.touched(row);
  }

  moved(row, last, live) {
    if (last === undefined || last === null) return;
    if (row.last !== null && live) {
      const way = compare(last, row.last);
      if (way !== 0) row.direction = row.flash = way;
    }
    row.last = last;
    if (row.spark) row.spark.live(last);
  }

  dated(row, timestamp) {
    const time = Date.parse(timestamp || '');
    if (!time) return;
    row.time = time;
    if (time > this.latest) this.latest = time;
  }

  average(row, item) {
    for (const window of ['1m', '5m', '15m']) {
      if (item[window]) row.twap[window] = item[window].twap ?? null;
    }
    this.touched(row);
  }

  // A REST price fills rows that no frame reaches: those outside the view.
  snapshot(item) {
    const row = this.rows.get(item.symbol);
    if (!row) return;
    this.moved(row, item.price, false);
    row.bid = item.bid ?? row.bid;
    row.ask = item.ask ?? row.ask;
    row.changePct = item.change_pct ?? row.changePct;
    row.venue = item.venue || row.venue;
    row.stale = Boolean(item.stale);
    const time = Date.parse(item.time || '');
    if (time) row.time = time;
    this.average(row, item.averages || {});
  }
}

// The closes of the last hour, as numbers: a line of 80 pixels needs no more.
export class Spark {
  constructor(closes) {
    this.points = closes.slice(-sparkMinutes).map(Number).filter(Number.isFinite);
    this.minute = Math.floor(Date.now() / 60000);
  }

  live(last) {
    const value = Number(last);
    const minute = Math.floor(Date.now() / 60000);
    if (minute === this.minute && this.points.length > 0) {
      this.points[this.points.length - 1] = value;
      return;
    }
    this.minute = minute;
    this.points.push(value);
    if (this.points.length > sparkMinutes) this.points.shift();
  }
}
