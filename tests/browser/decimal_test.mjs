// Exact decimals as text: what the dashboard shows must be what the engine wrote.
import assert from 'node:assert/strict';
import { compare, fixed, group, percent, price, short, sign } from '../../web/dashboard/decimal.js';

const rows = [
  [compare('1.10', '1.1'), 0], [compare('9', '10'), -1], [compare('-2', '-10'), 1], [compare('0.1', '0.09999999999999999999'), 1],
  [compare('123456789012345678.01', '123456789012345678.02'), -1], [compare(null, '1'), -1],
  [sign('0.000'), 0], [sign('-0.0'), 0], [sign('-0.01'), -1], [sign('5'), 1],
  [fixed('1.005', 2), '1.01'], [fixed('-1.005', 2), '-1.01'], [fixed('0.994', 2), '0.99'], [fixed('9.999', 2), '10.00'], [fixed('7', 2), '7.00'],
  [fixed('-0.001', 2), '0.00'], [fixed('1.5', 0), '2'], [fixed('70123.4567891234567', 8), '70123.45678912'],
  [group('1234567.891'), '1,234,567.891'], [group('-1000'), '\u22121,000'], [group('999'), '999'],
  [price('70123.45', 2), '70,123.45'], [price('0.5', 5), '0.50000'], [price(null, 2), '\u2014'], [price('1e5', 2), '\u2014'],
  [percent('1.2345'), '+1.23%'], [percent('-0.004'), '0.00%'], [percent('-3.1'), '\u22123.10%'], [percent(undefined), '\u2014'],
  [short('1234567.8'), '1.23M'], [short('12345.6'), '12.3k'], [short('0.00012'), '0.0001'], [short('5123456789'), '5.12B'],
];

for (const [got, expected] of rows) assert.equal(got, expected);
console.log(`${rows.length} decimals agree`);
