/**
 * The formulas that explorers compute, as `attncourse.reference` has them.
 *
 * Rows are arrays of numbers, matrices arrays of rows. A test compares each
 * with the reference in a browser.
 */

/** Sum of numbers. @param {number[]} row */
export function sum(row) {
  return row.reduce((total, each) => total + each, 0);
}

/** The sum of the products of two rows. */
export function dot(one, other) {
  return one.reduce((total, each, i) => total + each * other[i], 0);
}

/** Weights of one row of scores at a temperature. */
export function softmax(scores, temperature = 1) {
  const highest = Math.max(...scores);
  const powers = scores.map((s) => Math.exp((s - highest) / temperature));
  const total = sum(powers);
  return powers.map((each) => each / total);
}

/** Entropy of weights, in nats; a weight of zero adds nothing. */
export function entropy(weights) {
  return sum(weights.map((a) => (a > 0 ? -a * Math.log(a) : 0)));
}

/**
 * Frobenius norm of the softmax's Jacobian, diag(a) - a a^T.
 *
 * Summed entry by entry: the short formula loses its digits where one weight
 * is almost one.
 */
export function jacobianSize(weights) {
  let total = 0;
  weights.forEach((a, i) => {
    const others = sum(weights.filter((_, j) => j !== i));
    weights.forEach((b, j) => {
      total += (i === j ? a * others : a * b) ** 2;
    });
  });
  return Math.sqrt(total);
}

/** The product of two matrices. */
export function matmul(left, right) {
  const columns = right[0].map((_, j) => right.map((row) => row[j]));
  return left.map((row) => columns.map((column) => dot(row, column)));
}

/** Scores of every query with every key, over the root of the width. */
export function scaledScores(queries, keys) {
  const root = Math.sqrt(keys[0].length);
  return queries.map((q) => keys.map((k) => dot(q, k) / root));
}
