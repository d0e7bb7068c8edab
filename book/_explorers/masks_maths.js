/**
 * Masks, composed step by step, and the weights that they leave.
 *
 * The same definitions as in `attncourse.reference.masks`; a test compares
 * them. A mask is a flat array of booleans, row after row, true where a
 * query may look. As many queries as keys.
 */

/** What a mask can be made of: each tells whether query i may see key j. */
const PATTERNS = {
  causal: () => (i, j) => j <= i,
  window: (size) => (i, j) => j <= i && i - j < size,
  prefix: (size) => (i, j) => j <= i || j < size,
  padding: (size) => (i, j) => j < size,
};

/** How a pattern joins what stands before it. */
const OPERATORS = {
  and: (before, here) => before && here,
  or: (before, here) => before || here,
  "and not": (before, here) => before && !here,
  "or not": (before, here) => before || !here,
};

/** @param {number} count @param {(i: number, j: number) => boolean} sees */
function filled(count, sees) {
  return Array.from({ length: count * count }, (_, place) =>
    sees(Math.floor(place / count), place % count),
  );
}

/** Return one pattern as a mask. */
export function pattern(name, count, size) {
  return filled(count, PATTERNS[name](size));
}

/**
 * Return the mask that the steps make, from the first to the last.
 *
 * Before the first step stands everything, or nothing if it says *or*: so
 * the first step alone is its pattern, or all but its pattern.
 *
 * @param {{pattern: string, operator: string, size: number}[]} steps
 */
export function composed(steps, count) {
  const begin = !steps.length || steps[0].operator.startsWith("and");
  return steps.reduce(
    (mask, step) => {
      const here = pattern(step.pattern, count, step.size);
      const join = OPERATORS[step.operator];
      return mask.map((before, place) => join(before, here[place]));
    },
    filled(count, () => begin),
  );
}

/** Return a mask with some places set by hand. */
export function edited(mask, edits) {
  return mask.map((seen, place) => edits.get(place) ?? seen);
}

/**
 * Return the softmax over the keys that the mask allows, zero elsewhere.
 *
 * A row that sees nothing stays zero.
 *
 * @param {number[][]} scores @param {boolean[]} mask
 */
export function maskedSoftmax(scores, mask) {
  return scores.map((row, i) => {
    const seen = row.map((_, j) => mask[i * row.length + j]);
    const highest = Math.max(...row.filter((_, j) => seen[j]));
    const powers = row.map((s, j) => (seen[j] ? Math.exp(s - highest) : 0));
    const total = powers.reduce((sum, power) => sum + power, 0);
    return powers.map((power) => (total > 0 ? power / total : 0));
  });
}

/** Return the numbers of the queries that see nothing, counted from 0. */
export function blind(mask, count) {
  const rows = Array.from({ length: count }, (_, i) => i);
  return rows.filter(
    (i) => !mask.slice(i * count, (i + 1) * count).includes(true),
  );
}

/** The call of the package that makes a pattern. */
function call(step, count) {
  const { pattern: name, size } = step;
  if (name === "padding") return `padding_mask(${size}, keys=${count})`;
  const sized = name === "causal" ? "" : `, ${name}=${size}`;
  return `${name}_mask(${count}, ${count}${sized})`;
}

/** Return the composition as an expression in the package's functions. */
export function expression(steps, count) {
  let text = "";
  for (const step of steps) {
    const here =
      (step.operator.endsWith("not") ? "~" : "") + call(step, count);
    const join = step.operator.startsWith("and")
      ? "combine_masks"
      : "unite_masks";
    text = text ? `${join}(${text}, ${here})` : here;
  }
  return text || `np.ones((${count}, ${count}), dtype=bool)`;
}

/** Return what the package calls this mask, or "" if it has no one name. */
export function known(mask, count) {
  const same = (other) => other.every((seen, at) => seen === mask[at]);
  if (same(filled(count, () => true))) return "everything";
  if (same(filled(count, () => false))) return "nothing";
  const sizes = Array.from({ length: count }, (_, size) => size + 1);
  const tries = [{ pattern: "causal", size: 0 }];
  for (const name of ["window", "padding", "prefix"]) {
    tries.push(...sizes.map((size) => ({ pattern: name, size })));
  }
  const found = tries.find((step) =>
    same(pattern(step.pattern, count, step.size)),
  );
  return found ? call(found, count) : "";
}
