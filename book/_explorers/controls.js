/** Real inputs with labels; each follows the state, whoever changed it. */
import { html, written } from "./draw.js";

/** Steps of a slider on a logarithmic scale. */
const STEPS = 200;
let made = 0;

/** Return an id that nothing else on the page has. */
export function fresh(prefix) {
  made += 1;
  return `${prefix}-${made}`;
}

export class Controls {
  #owner;
  #followers = [];

  constructor(owner) {
    this.#owner = owner;
    this.element = html("div", { class: "explorer-controls" });
  }

  /** Bring every input to what the state says. */
  follow(state) {
    for (const each of this.#followers) each(state);
  }

  /** Have `fn(state)` called on each change: for inputs made elsewhere. */
  onstate(fn) {
    this.#followers.push(fn);
  }

  /**
   * A slider for `state[name]`, with its value beside it.
   *
   * `say(value)` writes the value; a `log` slider moves by factors; `values`
   * makes it step through a list instead of from `min` to `max`.
   */
  slider(name, { label, min, max, step = 1, log = false, values, say }) {
    const told = say ?? ((value) => written(value));
    const way = positions({ min, max, step, log, values });
    const id = fresh("explorer-slider");
    const input = html("input", {
      type: "range", id, min: way.min, max: way.max, step: way.step,
    });
    const output = html("output", { for: id, "aria-live": "off" });
    input.addEventListener("input", () => {
      this.#owner.set({ [name]: way.value(Number(input.value)) });
    });
    this.onstate((state) => {
      const value = state[name];
      // Do not push a thumb that already stands there.
      if (way.value(Number(input.value)) !== value) {
        input.value = way.position(value);
      }
      input.setAttribute("aria-valuetext", told(value));
      output.textContent = told(value);
    });
    return this.#add(
      "explorer-slider", html("label", { for: id }, label), input, output,
    );
  }

  /** A box for a number that is typed: `get(state)`, `set(value)`. */
  number({ label, min, max, step, get, set, hidden = false }) {
    const id = fresh("explorer-number");
    const input = html("input", { type: "number", id, min, max, step });
    input.addEventListener("input", () => {
      const value = input.valueAsNumber;
      // What is half typed, or out of range, is not yet a number.
      if (value >= min && value <= max) set(value);
    });
    const tidy = () => {
      input.value = get(this.#owner.state);
    };
    input.addEventListener("change", tidy);
    this.onstate((state) => {
      if (input.valueAsNumber !== get(state)) input.value = get(state);
    });
    const words = html("label", { for: id }, label);
    if (hidden) words.classList.add("explorer-hidden");
    return html("span", { class: "explorer-number" }, words, input);
  }

  /** A box to tick for `state[name]`, true or false. */
  toggle(name, { label }) {
    const id = fresh("explorer-toggle");
    const input = html("input", { type: "checkbox", id });
    input.addEventListener("change", () => {
      this.#owner.set({ [name]: input.checked });
    });
    this.onstate((state) => {
      input.checked = state[name];
    });
    return this.#add(
      "explorer-toggle", input, html("label", { for: id }, label),
    );
  }

  /**
   * One of several, side by side, for `state[name]`.
   * @param {{label: string, options: [any, string][]}} options
   *   pairs of a value and its words
   */
  choice(name, { label, options }) {
    const group = fresh("explorer-choice");
    const box = html("fieldset", { class: "explorer-choice" });
    box.append(html("legend", {}, label));
    for (const [value, words] of options) {
      const id = fresh(group);
      const input = html("input", { type: "radio", name: group, id });
      input.addEventListener("change", () => {
        this.#owner.set({ [name]: value });
      });
      this.onstate((state) => {
        input.checked = state[name] === value;
      });
      const text = html("label", { for: id }, words);
      box.append(html("span", { class: "explorer-option" }, input, text));
    }
    this.element.append(box);
    return box;
  }

  /** One of many, to be opened, for `state[name]`; see `choice`. */
  select(name, { label, options }) {
    const id = fresh("explorer-select");
    const input = html("select", { id });
    options.forEach(([, words], at) => {
      input.append(html("option", { value: at }, words));
    });
    input.addEventListener("change", () => {
      this.#owner.set({ [name]: options[Number(input.value)][0] });
    });
    this.onstate((state) => {
      input.value = options.findIndex(([value]) => value === state[name]);
    });
    return this.#add(
      "explorer-select", html("label", { for: id }, label), input,
    );
  }

  /** A button. */
  button(label, act) {
    const button = html("button", { type: "button" }, label);
    button.addEventListener("click", act);
    this.element.append(button);
    return button;
  }

  #add(name, ...children) {
    const box = html("div", { class: name }, ...children);
    this.element.append(box);
    return box;
  }
}

/** Return how a slider's positions and values belong together. */
function positions({ min, max, step, log, values }) {
  if (values) {
    return {
      min: 0,
      max: values.length - 1,
      step: 1,
      value: (at) => values[at],
      position: (value) => values.indexOf(value),
    };
  }
  if (log) {
    const factor = Math.log(max / min) / STEPS;
    const value = (at) => Number((min * Math.exp(at * factor)).toPrecision(3));
    return {
      min: 0,
      max: STEPS,
      step: 1,
      value,
      position: (x) => Math.round(Math.log(x / min) / factor),
    };
  }
  return { min, max, step, value: (at) => at, position: (x) => x };
}
