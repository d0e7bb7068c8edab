/**
 * The frame of every explorer: state, controls, drawings and words.
 *
 * An explorer extends `Explorer` and gives
 *
 * - `initial(data)`: the state that it starts from, plain numbers and strings;
 * - `build()`: makes controls and drawings, once;
 * - `compute(state)`: returns all numbers that are shown, without drawing.
 *   `numbers` on the element holds the last, for drawing and for tests;
 * - `draw(numbers)`: redraws what the state changes; called on new widths too;
 * - `words(numbers)`: one or two sentences that say what is to be seen.
 *
 * A drawing is an image to a screen reader: whatever a mouse can move in it
 * has an input of the same effect, and its name says what it shows.
 */
import { Drawing, html } from "./draw.js";
import { Controls } from "./controls.js";

/** Milliseconds without a change before the words are told. */
const PAUSE = 300;

export class Explorer extends HTMLElement {
  /** What the page's build computed. */
  data = null;
  /** What the reader has chosen. */
  state = {};
  /** What was computed from it last. */
  numbers = null;
  #start = null;
  #summary = null;
  #later = 0;

  connectedCallback() {
    if (this.data) return;
    const source = this.querySelector(":scope > script");
    this.data = JSON.parse(source.textContent);
    this.#start = this.initial(this.data);
    this.state = structuredClone(this.#start);
    this.live = html("div", { class: "explorer-live" });
    this.stage = html("div", { class: "explorer-stage" });
    this.#summary = html("p", {
      class: "explorer-summary",
      role: "status",
      "aria-live": "polite",
    });
    this.controls = new Controls(this);
    this.build();
    this.live.append(this.controls.element, this.stage, this.#summary);
    this.controls.button("Start again", () => this.reset());
    source.after(this.live);
    // From here on the still figure is for print.
    this.dataset.ready = "";
    this.#show();
    this.#tell();
  }

  disconnectedCallback() {
    clearTimeout(this.#later);
  }

  /** Change the state, and show it. @param {object} changes */
  set(changes) {
    Object.assign(this.state, changes);
    this.#show();
    clearTimeout(this.#later);
    this.#later = setTimeout(() => this.#tell(), PAUSE);
  }

  /** Go back to where it started. */
  reset() {
    this.set(structuredClone(this.#start));
  }

  /** Draw again, since there is more or less room. */
  redraw() {
    if (this.numbers) this.draw(this.numbers);
  }

  /**
   * Make a drawing and put it on the stage.
   * @param {{height: number|function(number): number, class?: string}} options
   * @returns {Drawing}
   */
  drawing(options) {
    const drawing = new Drawing(this, options);
    this.stage.append(drawing.element);
    return drawing;
  }

  #show() {
    this.numbers = this.compute(this.state);
    this.controls.follow(this.state);
    this.draw(this.numbers);
  }

  #tell() {
    this.#summary.textContent = this.words(this.numbers);
  }
}

/** Give a class its element. @param {string} name as in the chapter */
export function define(name, explorer) {
  customElements.define(`explore-${name.replaceAll("_", "-")}`, explorer);
}
