/**
 * Rotary positions: the same definitions as `attncourse.reference.positions`.
 *
 * Columns 2i and 2i + 1 are pair i; a position p turns it by p times the
 * pair's frequency. A test compares every function with the package.
 */

const TURN = 2 * Math.PI;

/** Return the angle in radians that each pair turns by a step. */
export function frequencies(dim, base) {
  return Array.from({ length: dim / 2 }, (_, i) => base ** ((-2 * i) / dim));
}

/** Return a query or a key with every pair turned to its position. */
export function rotary(x, position, base) {
  const turned = [];
  frequencies(x.length, base).forEach((speed, pair) => {
    const [cos, sin] = [Math.cos(position * speed), Math.sin(position * speed)];
    const [first, second] = [x[2 * pair], x[2 * pair + 1]];
    turned.push(first * cos - second * sin, first * sin + second * cos);
  });
  return turned;
}

/** Return the product of a turned query with a turned key. */
export function score(query, at, key, keyAt, base) {
  const [q, k] = [rotary(query, at, base), rotary(key, keyAt, base)];
  return q.reduce((sum, number, c) => sum + number * k[c], 0);
}

/** Return the distance at which a pair has gone round once. */
export function wavelength(speed) {
  return TURN / speed;
}

/** Return how many whole turns each pair has made over a distance. */
export function turns(dim, base, distance) {
  return frequencies(dim, base).map((speed) =>
    Math.floor((Math.abs(distance) * speed) / TURN),
  );
}
