// The chart: candles, volume and the average. Only here do prices become floats, because pixels need them;
// what is written in the legend comes from the engine's own text.

import { compare, fixed, group, isDecimal, price, short } from './decimal.js';
import * as api from './api.js';

const history = 500;
const correctEvery = 5000; // Frames carry no average, and a late tick may correct a closed candle: the last few are read again.
export const intervals = [['1m', 60], ['5m', 300], ['15m', 900], ['1h', 3600], ['4h', 14400], ['1d', 86400]];

const colours = { up: '#3fc796', down: '#f2707a', twap: '#e6b455', grid: '#141c25', text: '#8e9dad', line: '#1d2732' };

// Candle times come as RFC 3339 or as an epoch number in s, ms, us or ns, told apart by magnitude.
function seconds(time) {
  const value = typeof time === 'number' ? time : /^\d+$/.test(time) ? Number(time) : Date.parse(time) / 1000;
  if (value < 1e11) return Math.floor(value);
  if (value < 1e14) return Math.floor(value / 1e3);
  if (value < 1e17) return Math.floor(value / 1e6);
  return Math.floor(value / 1e9);
}

function bars(answer) {
  const t = answer?.t || [];
  const list = t.map((time, i) => ({
    time: seconds(time),
    o: answer.o[i], h: answer.h[i], l: answer.l[i], c: answer.c[i],
    v: answer.v?.[i] ?? null, twap: answer.twap?.[i] ?? null,
  }));
  return list.filter((b) => isDecimal(b.c)).sort((a, b) => a.time - b.time);
}

function shapes(bar) {
  const up = Number(bar.c) >= Number(bar.o);
  return {
    candle: { time: bar.time, open: Number(bar.o), high: Number(bar.h), low: Number(bar.l), close: Number(bar.c) },
    volume: bar.v === null ? { time: bar.time }
      : { time: bar.time, value: Number(bar.v), color: up ? 'rgba(63,199,150,0.22)' : 'rgba(242,112,122,0.22)' },
    twap: isDecimal(bar.twap) ? { time: bar.time, value: Number(bar.twap) } : { time: bar.time },
  };
}

export class PriceChart extends EventTarget {
  constructor() {
    super();
    this.box = document.getElementById('chart');
    this.legend = document.getElementById('legend');
    this.bars = new Map(); // time → bar, the texts behind the pixels
    this.interval = '1m';
    this.symbol = '';
    this.lines = [];
    this.offered = new Set(['1m']);
    this.buildButtons();
    this.lib = window.LightweightCharts;
    if (this.lib) this.build();
    else this.say('The chart library was not built in; everything else works.');
    setInterval(() => !document.hidden && this.correct(), correctEvery);
  }

  buildButtons() {
    const box = document.getElementById('intervals');
    this.buttons = intervals.map(([name]) => {
      const button = Object.assign(document.createElement('button'), { type: 'button', textContent: name, hidden: name !== '1m' });
      button.addEventListener('click', () => this.show(this.symbol, this.decimals, name));
      box.append(button);
      return button;
    });
  }

  offer(name) {
    this.offered.add(name);
    this.buttons[intervals.findIndex(([n]) => n === name)].hidden = false;
  }

  markButtons() {
    this.buttons.forEach((b) => b.setAttribute('aria-pressed', String(b.textContent === this.interval)));
  }

  build() {
    const { lib } = this;
    this.chart = lib.createChart(this.box, {
      autoSize: true,
      layout: {
        background: { type: 'solid', color: 'transparent' }, textColor: colours.text, fontSize: 11,
        fontFamily: getComputedStyle(document.body).fontFamily,
        attributionLogo: false, // It brings an inline style, which the page's policy forbids; the footer carries the attribution.
      },
      grid: { vertLines: { color: colours.grid }, horzLines: { color: colours.grid } },
      rightPriceScale: { borderColor: colours.line, scaleMargins: { top: 0.08, bottom: 0.2 } },
      timeScale: { borderColor: colours.line, timeVisible: true, secondsVisible: false, rightOffset: 6, barSpacing: 7 },
      handleScroll: { vertTouchDrag: false }, // On a phone a vertical swipe belongs to the page.
      crosshair: {
        mode: lib.CrosshairMode.Normal,
        vertLine: { color: '#47586a', labelBackgroundColor: '#26323f' },
        horzLine: { color: '#47586a', labelBackgroundColor: '#26323f' },
      },
      localization: { timeFormatter: (t) => new Date(t * 1000).toISOString().slice(0, 16).replace('T', ' ') + ' UTC' },
    });
    this.volume = this.chart.addSeries(lib.HistogramSeries, { priceScaleId: 'volume', priceFormat: { type: 'volume' }, lastValueVisible: false, priceLineVisible: false });
    this.chart.priceScale('volume').applyOptions({ scaleMargins: { top: 0.86, bottom: 0 } });
    this.candles = this.chart.addSeries(lib.CandlestickSeries, {
      upColor: colours.up, downColor: colours.down, wickUpColor: colours.up, wickDownColor: colours.down, borderVisible: false,
    });
    this.twap = this.chart.addSeries(lib.LineSeries, {
      color: colours.twap, lineWidth: 2, lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false,
    });
    this.chart.subscribeCrosshairMove((move) => this.write(move.time ? this.bars.get(move.time) : null));
    this.chart.subscribeClick((click) => this.clicked(click));
  }

  clicked(click) {
    const at = click.point && this.candles.coordinateToPrice(click.point.y);
    if (at > 0) this.dispatchEvent(new CustomEvent('level', { detail: at.toFixed(this.decimals ?? 2) }));
  }

  scaleWidth() {
    return this.chart ? this.chart.priceScale('right').width() : 0;
  }

  // The height of a price in pixels from the top, outside the box for a price out of sight; null while nothing is drawn.
  heightOf(value) {
    return this.chart && this.bars.size > 0 ? this.candles.priceToCoordinate(value) : null;
  }

  say(text) {
    const empty = document.getElementById('chart-empty');
    empty.textContent = text;
    empty.hidden = !text;
  }

  async show(symbol, decimals, interval = this.interval) {
    this.symbol = symbol;
    this.decimals = decimals;
    this.tickTime = 0; // of the newest ticker drawn, in ms
    this.interval = interval;
    this.markButtons();
    this.clear();
    this.dispatchEvent(new CustomEvent('show', { detail: symbol }));
    if (!this.chart) return;
    const places = decimals ?? 2;
    this.candles.applyOptions({ priceFormat: { type: 'custom', minMove: 10 ** -places, formatter: (v) => group(v.toFixed(places)) } });
    await this.load(symbol, interval);
  }

  step() {
    return intervals.find(([name]) => name === this.interval)[1];
  }

  clear() {
    this.bars.clear();
    this.legend.replaceChildren();
    if (!this.chart) return;
    [this.candles, this.volume, this.twap].forEach((series) => series.setData([]));
    this.drawLines([]);
    this.say('Loading candles');
  }

  async load(symbol, interval) {
    try {
      if (!(await this.read(symbol, interval))) return;
      this.fill();
      this.chart.timeScale().applyOptions({ barSpacing: 7, rightOffset: 6 });
      this.chart.timeScale().resetTimeScale();
      this.say(this.bars.size === 0 ? 'No trades yet: the first candle appears with the first trade.' : '');
    } catch (problem) {
      if (symbol === this.symbol && interval === this.interval) this.say(problem.message);
    }
  }

  // Replaces the bars by the engine's; only an open bar that a frame brought meanwhile is younger and stays.
  async read(symbol, interval) {
    const list = bars(await api.candles(symbol, interval, history));
    if (symbol !== this.symbol || interval !== this.interval) return false;
    const live = this.bars.get(this.newest());
    this.bars = new Map(list.map((bar) => [bar.time, bar]));
    if (live && live.time >= (list.at(-1)?.time ?? 0)) this.bars.set(live.time, live);
    return true;
  }

  // After a gap in the link or a sleep of the page: history again, in place.
  async refresh() {
    if (!this.chart || !this.symbol || this.bars.size === 0) return;
    try {
      if (await this.read(this.symbol, this.interval)) this.restore();
    } catch {
      // The next gap, or the next choice, tries again.
    }
  }

  fill() {
    const list = [...this.bars.values()].sort((a, b) => a.time - b.time).map(shapes);
    this.candles.setData(list.map((s) => s.candle));
    this.volume.setData(list.map((s) => s.volume));
    this.twap.setData(list.map((s) => s.twap));
    this.write(null);
  }

  newest() {
    let newest = 0;
    for (const time of this.bars.keys()) if (time > newest) newest = time;
    return newest;
  }

  // A bar at the end is drawn in place; false for one in the middle (a correction), which takes a redraw.
  merge(bar) {
    const newest = this.newest();
    this.bars.set(bar.time, bar);
    if (bar.time < newest) return false;
    const drawn = shapes(bar);
    this.candles.update(drawn.candle);
    this.volume.update(drawn.volume);
    this.twap.update(drawn.twap);
    this.say('');
    this.write(null);
    if (this.bars.size > 4 * history) this.refresh(); // A page left open for days sheds what it no longer needs.
    return true;
  }

  // An `ohlc` frame: the open minute as the engine sees it. It is the open candle itself, or widens that of a longer interval,
  // whose volume and average then come with the next correction.
  live(item) {
    if (!this.chart || item.symbol !== this.symbol || !isDecimal(item.close)) return;
    const minute = { time: seconds(item.interval_begin), o: item.open, h: item.high, l: item.low, c: item.close, v: item.volume ?? null, twap: null };
    const time = Math.floor(minute.time / this.step()) * this.step();
    const known = this.bars.get(time);
    if (known && Date.parse(item.timestamp) < this.tickTime) minute.c = known.c;
    if (!this.merge(known ? this.widened(known, minute) : { ...minute, time })) this.restore();
    if (!known) this.correct(); // A new candle has no average yet, and the one before may now be final.
  }

  // A `ticker` frame comes sooner than the minute that will contain it: the open candle follows it at once, so that chart and
  // table never tell two prices.
  tick(row) {
    if (!this.chart || row.symbol !== this.symbol || !isDecimal(row.last) || !(row.time > this.tickTime)) return;
    const time = Math.floor(row.time / 1000 / this.step()) * this.step();
    const bar = this.bars.get(time);
    if (!bar || time !== this.newest()) return;
    this.tickTime = row.time;
    this.merge(this.reached(bar, row.last, row.last, row.last));
  }

  reached(bar, high, low, close) {
    return { ...bar, h: compare(high, bar.h) > 0 ? high : bar.h, l: compare(low, bar.l) < 0 ? low : bar.l, c: close };
  }

  // An open never changes and a volume never shrinks: frames of an engine that has just started know only their part of the minute.
  widened(bar, minute) {
    if (this.interval === '1m' && compare(minute.v, bar.v) > 0) bar = { ...bar, v: minute.v };
    return this.reached(bar, minute.h, minute.l, minute.c);
  }

  async correct() {
    const { symbol, interval } = this;
    if (!this.chart || !symbol || this.bars.size === 0) return;
    try {
      const list = bars(await api.candles(symbol, interval, 3));
      if (symbol !== this.symbol || interval !== this.interval) return;
      const before = list.filter((b) => b.time < this.newest());
      const changed = before.some((b) => JSON.stringify(b) !== JSON.stringify(this.bars.get(b.time)));
      before.forEach((b) => this.bars.set(b.time, b));
      list.filter((b) => b.time >= this.newest()).forEach((b) => this.merge(b));
      if (changed) this.restore();
    } catch {
      // The link's own state is shown in the header; the next round tries again.
    }
  }

  // Redraws without moving the reader's view.
  restore() {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    this.fill();
    if (range) this.chart.timeScale().setVisibleLogicalRange(range);
  }

  // Dashed lines at the levels of alerts: bright and named while armed, a trace afterwards.
  drawLines(alerts) {
    if (!this.chart) return;
    this.lines.forEach((line) => this.candles.removePriceLine(line));
    this.lines = alerts.map(({ level, title, armed }) => this.candles.createPriceLine({
      price: Number(level), color: armed ? '#6cb0ff' : '#33414f', lineWidth: 1, lineStyle: 2, axisLabelVisible: armed, title: armed ? title : '',
      axisLabelColor: '#2a5f9e', axisLabelTextColor: '#ffffff',
    }));
  }

  write(bar) {
    const shown = bar || this.bars.get(this.newest());
    if (!shown) return this.legend.replaceChildren();
    const at = (text) => price(text, this.decimals);
    const parts = [['O', at(shown.o)], ['H', at(shown.h)], ['L', at(shown.l)], ['C', at(shown.c)], ['V', short(shown.v)]];
    if (isDecimal(shown.twap)) parts.push(['TWAP', price(fixed(shown.twap, this.decimals ?? 2))]);
    const when = document.createElement('span');
    when.textContent = new Date(shown.time * 1000).toISOString().slice(5, 16).replace('T', ' ');
    this.legend.replaceChildren(when, ...parts.map(([name, text]) => {
      const part = document.createElement('span');
      const label = document.createElement('b');
      label.textContent = name;
      part.append(label, text);
      if (name === 'TWAP') part.className = 'twap';
      return part;
    }));
  }
}
