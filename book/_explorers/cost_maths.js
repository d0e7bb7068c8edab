/**
 * What mechanisms cost: closed formulas, compared with the package's counts.
 *
 * Sizes are `{tokens, width, heads, window}`; the width of a head is
 * `width / heads`, also that of its values and of the features of linear
 * attention. A multiplication and an addition are two operations. Every
 * token asks, and every token is read.
 */

/** Tokens that chunked linear attention takes at a time. */
export const CHUNK = 64;

/** How far behind a crossing another one is looked for. */
const NEAR = 16 * CHUNK;

/** Pairs of a query and a key that a head scores. */
export const pairs = {
  full: ({ tokens }) => tokens * tokens,
  causal: ({ tokens }) => (tokens * (tokens + 1)) / 2,
  window({ tokens, window }) {
    const seen = Math.min(window, tokens);
    return tokens * seen - (seen * (seen - 1)) / 2;
  },
  /** The window, and behind it every key that is a whole number away. */
  strided(sizes) {
    const { tokens, window } = sizes;
    const whole = Math.floor(tokens / window);
    const rest = tokens - whole * window;
    const behind = (window * whole * (whole - 1)) / 2 + rest * whole;
    return pairs.window(sizes) + behind;
  },
};

const scored = (count) => (sizes) => 4 * sizes.width * count(sizes);

/** Numbers of the state of linear attention, of all heads together. */
function state({ width, heads }) {
  const dim = width / heads;
  return heads * dim * (dim + 1);
}

function linear({ tokens, width, heads }) {
  const dim = width / heads;
  return heads * tokens * (4 * dim * dim + 2 * dim);
}

function chunked(sizes) {
  const whole = Math.floor(sizes.tokens / CHUNK);
  const rest = sizes.tokens - whole * CHUNK;
  const within = whole * CHUNK * CHUNK + rest * rest;
  return linear(sizes) + 4 * sizes.width * within;
}

/** Operations of one pass over all tokens, by mechanism. */
export const operations = {
  stored: scored(pairs.full),
  tiled: scored(pairs.full),
  causal: scored(pairs.causal),
  window: scored(pairs.window),
  strided: scored(pairs.strided),
  linear,
  chunked,
  projections: ({ tokens, width }) => 8 * tokens * width * width,
};

const weights = ({ heads, tokens }) => heads * tokens * tokens;
const totals = ({ heads, tokens }) => heads * tokens;

/**
 * Numbers kept besides queries, keys, values and outputs: the weights, or
 * one log-sum-exp a query and head, or a state.
 */
export const kept = {
  stored: weights,
  tiled: totals,
  causal: totals,
  window: totals,
  strided: totals,
  linear: state,
  chunked: (sizes) =>
    state(sizes) + sizes.heads * Math.min(CHUNK, sizes.tokens) ** 2,
};

const cached = ({ tokens, width }) => 2 * tokens * width;

/** Numbers that stay in memory while a text is written token by token. */
export const cache = {
  causal: cached,
  window: (sizes) =>
    cached({ ...sizes, tokens: Math.min(sizes.tokens, sizes.window) }),
  strided: cached,
  linear: state,
};

/** What can be drawn: a name, a unit, a table of formulas by mechanism. */
export const MEASURES = {
  operations: { formulas: operations, unit: "operations", bytes: 1 },
  kept: { formulas: kept, unit: "bytes", bytes: 4 },
  cache: { formulas: cache, unit: "bytes", bytes: 4 },
};

/** Return one mechanism's cost, or undefined where it has none. */
export function cost(measure, mechanism, sizes) {
  const { formulas, bytes } = MEASURES[measure];
  return formulas[mechanism] && bytes * formulas[mechanism](sizes);
}

/**
 * Return where one mechanism begins to cost less than another, if it does.
 *
 * @returns {{cheaper: string, dearer: string, tokens: number} | undefined}
 *   the length from which on `cheaper` costs less; undefined where one
 *   is never dearer than the other within the lengths.
 */
export function crossing(measure, one, other, sizes, [least, most]) {
  const lead = (tokens) => {
    const at = { ...sizes, tokens };
    return Math.sign(cost(measure, one, at) - cost(measure, other, at));
  };
  const end = lead(most);
  if (end === 0 || lead(least) === end) return undefined;
  let [low, high] = [least, most];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (lead(middle) === end) high = middle;
    else low = middle;
  }
  // Chunks make small steps, so two lines may cross back and forth there.
  const last = Math.min(most, high + NEAR);
  for (let tokens = high; tokens < last; tokens += 1) {
    if (lead(tokens) !== end) high = tokens + 1;
  }
  const [cheaper, dearer] = end < 0 ? [one, other] : [other, one];
  return { cheaper, dearer, tokens: high };
}
