/** Elements, drawings that know their width, and dragging. */

const SVG = "http://www.w3.org/2000/svg";
/** A width to draw in where nothing is on the screen yet. */
const SOME_WIDTH = 600;

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children);
  return element;
}

/** Make an element of the page. @returns {HTMLElement} */
export function html(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** Make a part of a drawing. @returns {SVGElement} */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

/** Write a number as the book does, with a real minus sign. */
export function written(value, digits = 2) {
  const text = value.toFixed(digits);
  // No minus before a zero.
  const bare = Number(text) === 0 ? text.replace("-", "") : text;
  return bare.replace("-", "\u2212");
}

/** A background that is `share` (0 to 1) of a role's colour.
 *
 * It is never more than half of it, so that ink stays readable on it in both
 * themes. Give it as `style`.
 */
export function shade(role, share) {
  const percent = (45 * Math.min(1, Math.max(0, share))).toFixed(1);
  const ground = "var(--pst-color-background)";
  return `fill: color-mix(in srgb, var(--course-${role}) ${percent}%, ${ground})`;
}

/** An SVG image whose units are the page's pixels, whatever its width. */
export class Drawing {
  #height;

  /** @param {{height: number|function(number): number, class?: string}} options */
  constructor(owner, { height, class: name = "" }) {
    this.#height = typeof height === "function" ? height : () => height;
    this.element = svg("svg", { role: "img", class: `explorer-drawing ${name}` });
    this.width = 0;
    const watch = new ResizeObserver(() => {
      if (this.#measure() !== this.width) owner.redraw();
    });
    watch.observe(this.element);
  }

  get height() {
    return this.#height(this.width);
  }

  /** Empty it, and say in words what is about to be drawn. */
  clear(words) {
    this.width = this.#measure();
    const { element, width, height } = this;
    element.setAttribute("viewBox", `0 0 ${width} ${height}`);
    element.setAttribute("height", height);
    element.setAttribute("aria-label", words);
    element.replaceChildren();
  }

  /** Add a part. @returns {SVGElement} */
  add(tag, attributes = {}, ...children) {
    const part = svg(tag, attributes, ...children);
    this.element.append(part);
    return part;
  }

  /** Write text at a point. */
  text(x, y, words, attributes = {}) {
    return this.add("text", { x, y, ...attributes }, String(words));
  }

  #measure() {
    return Math.round(this.element.clientWidth) || SOME_WIDTH;
  }
}

/**
 * Let a pointer press and drag; `move` gets the point in the drawing.
 *
 * Vertical swipes go on scrolling the page (see `explorers.css`), so let only
 * sideways movement count.
 * @param {SVGSVGElement} element it stays while its parts are redrawn
 * @param {function({x: number, y: number}, boolean): void} move
 *   the second argument is true where the pointer goes down
 */
export function draggable(element, move) {
  const tell = (event, first) => {
    const box = element.getBoundingClientRect();
    move({ x: event.clientX - box.left, y: event.clientY - box.top }, first);
  };
  element.classList.add("explorer-draggable");
  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    tell(event, true);
    event.preventDefault();
  });
  element.addEventListener("pointermove", (event) => {
    if (element.hasPointerCapture(event.pointerId)) tell(event, false);
  });
}

/** Return a function from [from, to] to pixels; `log` spaces by factors. */
export function scale([from, to], [start, end], { log = false } = {}) {
  const place = log ? Math.log : (x) => x;
  const low = place(from);
  const span = place(to) - low;
  return (x) => start + ((place(x) - low) / span) * (end - start);
}

/** Return the `d` of a path through points. @param {[number, number][]} points */
export function path(points) {
  return points
    .map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`)
    .join("");
}
