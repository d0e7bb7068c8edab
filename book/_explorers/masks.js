/** A mask, drawn cell by cell or composed, and the weights under it. */
import { Explorer, define } from "./base.js";
import { html, written } from "./draw.js";
import {
  blind, composed, edited, expression, known, maskedSoftmax,
} from "./masks_maths.js";

const OPERATORS = ["", "and", "or", "and not", "or not"];
/** Where a key leads: rows down, columns to the right. */
const WAYS = {
  ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
  Home: [0, -Infinity], End: [0, Infinity],
};
/** More lines of drawn cells than this are counted, not written. */
const LINES = 3;

const Python = (seen) => (seen ? "True" : "False");

/** Return several names as English writes them. */
function listed(names) {
  if (names.length < 2) return names.join("");
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

class Masks extends Explorer {
  #cells = [];
  #rows = [];
  #shares = [];
  #totals = [];
  #code;
  /** The place where a drag began, what it paints, and whether it did. */
  #drag = null;

  initial({ steps }) {
    const state = { query: 3, edits: {} };
    for (const { pattern, operator, size } of steps) {
      state[`${pattern}Operator`] = operator;
      state[`${pattern}Size`] = size;
    }
    return state;
  }

  get #count() {
    return this.data.words.length;
  }

  build() {
    for (const step of this.data.steps) this.#step(step);
    this.controls.button("Rub out the drawing", () => this.set({ edits: {} }));
    this.#code = html("pre", { class: "masks-code", tabindex: 0 });
    this.#code.setAttribute("role", "region");
    this.#code.setAttribute("aria-label", "The mask in Python");
    this.stage.append(
      html("div", { class: "masks-grids" }, this.#mask(), this.#weights()),
      this.#code,
    );
  }

  #step({ pattern, says }) {
    const join = this.controls.select(`${pattern}Operator`, {
      label: `${pattern} (${says})`,
      options: OPERATORS.map((each) => [each, each || "left out"]),
    });
    const row = html("div", { class: "masks-step" }, join);
    if (pattern !== "causal") {
      const size = this.controls.slider(`${pattern}Size`, {
        label: "keys", min: 1, max: this.#count, say: String,
      });
      size.querySelector("input").setAttribute(
        "aria-label", `keys of the ${pattern} pattern`,
      );
      this.controls.onstate((state) => {
        size.hidden = state[`${pattern}Operator`] === "";
      });
      row.append(size);
    }
    this.controls.element.append(row);
  }

  /** A table with the words at its top and side; `fill` makes each cell. */
  #table(attributes, caption, fill, last = []) {
    const { words } = this.data;
    const head = [...words, ...last].map((word) =>
      html("th", { scope: "col" }, html("span", {}, word)));
    const body = words.map((word, i) => {
      const row = html("tr", {}, html("th", { scope: "row" }, word), ...fill(i));
      row.addEventListener("pointerenter", () => this.#ask(i));
      return row;
    });
    const table = html("table", { class: "masks-table", ...attributes },
      html("caption", {}, caption),
      html("thead", {}, html("tr", {}, html("td"), ...head)),
      html("tbody", {}, ...body));
    this.#rows.push(...body.map((row, i) => [row, i]));
    return table;
  }

  #mask() {
    const table = this.#table(
      { role: "grid" }, "The mask: click, drag, or arrows and space",
      (i) => this.data.words.map((_, j) =>
        html("td", {}, this.#cell(i * this.#count + j))),
    );
    table.addEventListener("keydown", (event) => this.#key(event));
    table.addEventListener("pointermove", (event) => this.#paint(event));
    return table;
  }

  #cell(place) {
    const cell = html("button", {
      type: "button", class: "masks-cell", "data-place": place,
      tabindex: place ? -1 : 0,
    });
    cell.addEventListener("pointerdown", (event) => {
      const paints = !this.numbers.mask[place];
      this.#drag = { place, paints, painted: false };
      // A finger would hold on to the first cell.
      cell.releasePointerCapture?.(event.pointerId);
    });
    cell.addEventListener("click", () => {
      const dragged = this.#drag?.painted;
      this.#drag = null;
      if (!dragged) this.#edit({ [place]: !this.numbers.mask[place] });
    });
    cell.addEventListener("focus", () => {
      for (const each of this.#cells) each.tabIndex = -1;
      cell.tabIndex = 0;
      this.#ask(Math.floor(place / this.#count));
    });
    this.#cells[place] = cell;
    return cell;
  }

  #weights() {
    return this.#table({}, "The weights", (i) => {
      this.#shares[i] = this.data.words.map(() => html("td"));
      this.#totals[i] = html("td", { class: "masks-total" });
      return [...this.#shares[i], this.#totals[i]];
    }, ["sum"]);
  }

  #ask(query) {
    if (query !== this.state.query) this.set({ query });
  }

  #edit(changes) {
    this.set({ edits: { ...this.state.edits, ...changes } });
  }

  #paint({ buttons, clientX, clientY }) {
    if (!this.#drag || !buttons) return;
    const under = document.elementFromPoint(clientX, clientY);
    const place = Number(under?.closest(".masks-cell")?.dataset.place ?? -1);
    const { place: start, paints, painted } = this.#drag;
    if (place < 0 || !this.contains(under)) return;
    if (place === start && !painted) return;
    this.#drag.painted = true;
    if (this.numbers.mask[place] !== paints || !painted) {
      this.#edit({ [start]: paints, [place]: paints });
    }
  }

  #key(event) {
    const way = WAYS[event.key];
    const at = this.#cells.indexOf(event.target);
    if (!way || at < 0) return;
    event.preventDefault();
    const count = this.#count;
    const within = (to) => Math.min(Math.max(to, 0), count - 1);
    const row = within(Math.floor(at / count) + way[0]);
    const column = within(at % count + way[1]);
    this.#cells[row * count + column].focus();
  }

  compute(state) {
    const steps = this.data.steps
      .map(({ pattern }) => ({
        pattern,
        operator: state[`${pattern}Operator`],
        size: state[`${pattern}Size`],
      }))
      .filter(({ operator }) => operator);
    const count = this.#count;
    const made = composed(steps, count);
    const edits = new Map(
      Object.entries(state.edits)
        .map(([place, seen]) => [Number(place), seen])
        .filter(([place, seen]) => made[place] !== seen),
    );
    const mask = edited(made, edits);
    return {
      mask,
      drawn: [...edits.keys()].sort((a, b) => a - b),
      weights: maskedSoftmax(this.data.scores, mask),
      blind: blind(mask, count),
      known: known(mask, count),
      expression: expression(steps, count),
    };
  }

  draw({ mask, weights, blind: none, drawn, expression: text }) {
    const { words } = this.data;
    this.#cells.forEach((cell, place) => {
      const [i, j] = [Math.floor(place / words.length), place % words.length];
      cell.setAttribute("aria-pressed", mask[place]);
      cell.setAttribute("aria-label", `${this.#name(i)} sees ${this.#name(j)}`);
      cell.classList.toggle("masks-drawn", drawn.includes(place));
    });
    weights.forEach((row, i) => {
      row.forEach((weight, j) => {
        const cell = this.#shares[i][j];
        const seen = mask[i * words.length + j];
        cell.textContent = seen ? written(weight) : "0";
        cell.classList.toggle("masks-hidden", !seen);
        cell.style.setProperty("--share", `${(45 * weight).toFixed(1)}%`);
      });
      this.#totals[i].textContent = none.includes(i) ? "0" : "1";
    });
    for (const [row, i] of this.#rows) {
      row.classList.toggle("masks-asks", i === this.state.query);
      row.classList.toggle("masks-blind", none.includes(i));
    }
    this.#code.textContent = this.#python(text, mask, drawn);
  }

  #python(text, mask, drawn) {
    const lines = drawn.slice(0, LINES).map((place) => {
      const [i, j] = [Math.floor(place / this.#count), place % this.#count];
      return `mask[${i}, ${j}] = ${Python(mask[place])}`;
    });
    const more = drawn.length - lines.length;
    if (more > 0) lines.push(`# and ${more} more, drawn by hand`);
    return [`mask = ${text}`, ...lines].join("\n");
  }

  #name(at) {
    const { words } = this.data;
    const alone = words.indexOf(words[at]) === words.lastIndexOf(words[at]);
    return alone ? words[at] : `${words[at]} ${at}`;
  }

  words({ mask, weights, blind: none, known: name }) {
    const { query } = this.state;
    const row = weights[query];
    const seen = row.filter((_, j) => mask[query * row.length + j]).length;
    const pairs = mask.filter(Boolean).length;
    const said = [`${pairs} of ${mask.length} pairs may be looked at.`];
    if (name) said.push(`This mask has a name: ${name}.`);
    if (seen) {
      const most = Math.max(...row);
      said.push(
        `Query ${query}, ${this.#name(query)}, sees ${seen} `
        + `${seen > 1 ? "keys" : "key"} and reads most from `
        + `${this.#name(row.indexOf(most))}, ${written(most)}.`,
      );
    }
    if (none.length) {
      const who = listed(none.map((i) => `${i}, ${this.#name(i)}`));
      said.push(
        none.length > 1
          ? `Queries ${who}, see nothing: their weights are all zero.`
          : `Query ${who}, sees nothing: its weights are all zero.`,
      );
    } else {
      said.push("Every row of weights sums to one.");
    }
    return said.join(" ");
  }
}

define("masks", Masks);
