/** Small helpers for making elements; texts are never read as markup. */

/**
 * Make an element.
 * @param {string} name tag, with classes: "p.live-note"
 * @param {Object<string, any>} [given] attributes; `on...` are listeners,
 *   `true` and `false` set or leave out an attribute
 * @param {...(Node|string|null|undefined|false)} children
 * @returns {HTMLElement}
 */
export function el(name, given = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(given)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((each) => each != null && each !== false));
  return made;
}

/** Make a button that does something. */
export function button(label, onclick, given = {}) {
  return el("button.live-button", { type: "button", onclick, ...given }, label);
}

/**
 * Wait with a call until nothing has asked for it for a while.
 * `flush` makes a waiting call at once.
 */
export function debounced(call, ms) {
  let timer = null;
  const flush = () => {
    if (timer === null) return;
    clearTimeout(timer);
    timer = null;
    call();
  };
  const ask = () => {
    clearTimeout(timer);
    timer = setTimeout(flush, ms);
  };
  return Object.assign(ask, { flush });
}

/** Say a number as people write it: 4, 2.5, 0.33. */
export function number(value) {
  return String(Math.round(value * 100) / 100);
}

/** Read the data that the page brought for an element's script. */
export function told(element) {
  const script = element.querySelector('script[type="application/json"]');
  return JSON.parse(script.textContent);
}
