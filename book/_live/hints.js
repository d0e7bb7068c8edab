/** A ladder of hints: the next one appears when the last has been opened. */

/**
 * @param {HTMLDetailsElement[]} hints
 * @param {number} opened how many the reader has opened before
 * @param {(opened: number) => void} remember
 */
export function climb(hints, opened, remember) {
  let reached = Math.min(opened, hints.length);
  const show = () => hints.forEach((hint, i) => (hint.hidden = i > reached));
  hints.forEach((hint, i) => {
    hint.open = i < reached;
    hint.addEventListener("toggle", () => {
      if (!hint.open || i < reached) return;
      reached = i + 1;
      show();
      remember(reached);
    });
  });
  show();
}
