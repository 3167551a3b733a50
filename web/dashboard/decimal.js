// Exact decimals as text. A price is shown as the engine wrote it; a binary float never stands between the two.

const shape = /^-?\d+(\.\d+)?$/;

export function isDecimal(text) {
  return typeof text === 'string' && shape.test(text);
}

function split(text) {
  const negative = text.startsWith('-');
  const [whole, fraction = ''] = (negative ? text.slice(1) : text).split('.');
  return { negative, whole, fraction };
}

function mantissa(text, places) {
  const { negative, whole, fraction } = split(text);
  const value = BigInt(whole + fraction.slice(0, places).padEnd(places, '0'));
  return negative ? -value : value;
}

// Orders two decimals exactly; anything that is not a decimal stands below every decimal.
export function compare(a, b) {
  if (!isDecimal(a) || !isDecimal(b)) return Number(isDecimal(a)) - Number(isDecimal(b));
  if (a === b) return 0;
  const places = Math.max(split(a).fraction.length, split(b).fraction.length);
  const x = mantissa(a, places);
  const y = mantissa(b, places);
  return x < y ? -1 : x > y ? 1 : 0;
}

export function sign(text) {
  if (!isDecimal(text) || !/[1-9]/.test(text)) return 0;
  return text.startsWith('-') ? -1 : 1;
}

// The same number with `places` digits after the point, halves away from zero. For averages, which carry more digits than a price.
export function fixed(text, places) {
  if (!isDecimal(text)) return text;
  const { negative, whole, fraction } = split(text);
  let digits = BigInt(whole + fraction.slice(0, places).padEnd(places, '0'));
  if (fraction.length > places && fraction[places] >= '5') digits += 1n;
  const all = digits.toString().padStart(places + 1, '0');
  const cut = all.length - places;
  const body = places > 0 ? `${all.slice(0, cut)}.${all.slice(cut)}` : all;
  return negative && digits !== 0n ? `-${body}` : body;
}

// Thousands apart: 70123.45 becomes 70,123.45.
export function group(text) {
  if (!isDecimal(text)) return text;
  const { negative, whole, fraction } = split(text);
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return (negative ? '\u2212' : '') + grouped + (fraction ? `.${fraction}` : '');
}

// A price at the asset's scale; digits beyond it (an average has them) are rounded, missing ones filled up.
export function price(text, places) {
  if (!isDecimal(text)) return '\u2014';
  return group(places === undefined ? text : fixed(text, places));
}

export function percent(text) {
  if (!isDecimal(text)) return '\u2014';
  const short = fixed(text, 2);
  return (sign(short) > 0 ? '+' : '') + group(short) + '%';
}

// A volume need not be exact to be useful: four significant places, with k, M or B.
export function short(text) {
  if (!isDecimal(text)) return '\u2014';
  const { whole } = split(text);
  if (whole.length > 9) return `${group(fixed(shift(text, 9), 2))}B`;
  if (whole.length > 6) return `${group(fixed(shift(text, 6), 2))}M`;
  if (whole.length > 4) return `${group(fixed(shift(text, 3), 1))}k`;
  return group(fixed(text, whole === '0' ? 4 : 2));
}

function shift(text, places) {
  const { negative, whole, fraction } = split(text);
  const padded = whole.padStart(places + 1, '0');
  const cut = padded.length - places;
  return `${negative ? '-' : ''}${padded.slice(0, cut)}.${padded.slice(cut)}${fraction}`;
}
