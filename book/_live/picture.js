/** Pictures that come out of the worker, where the reader's text ran. */

const ALLOWED = {
  svg: ["role", "width", "height", "viewBox"],
  rect: ["x", "y", "width", "height", "fill", "stroke"],
  text: ["x", "y", "font-size", "fill", "text-anchor"],
};

/** Colours, numbers and names; nothing that is fetched from somewhere. */
const PLAIN = /^(rgb\([\d,. ]+\)|[#\w.\- ]*)$/;

/**
 * Return an SVG if it only draws, else nothing.
 *
 * Text that a reader was talked into pasting could send anything out of the
 * worker; nothing of it may act in the page.
 * @param {string} markup
 * @returns {string}
 */
export function harmless(markup) {
  if (!markup) {
    return "";
  }
  const read = new DOMParser().parseFromString(markup, "image/svg+xml");
  const all = [...read.querySelectorAll("*")];
  return all.every(draws) ? markup : "";
}

function draws(element) {
  if (!Object.hasOwn(ALLOWED, element.localName)) return false;
  const allowed = ALLOWED[element.localName];
  return [...element.attributes].every(
    ({ name, value }) =>
      name === "xmlns" || name === "aria-label" ||
      (allowed.includes(name) && PLAIN.test(value)),
  );
}
