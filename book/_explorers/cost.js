/** What mechanisms cost against the length, and where their lines cross. */
import { MEASURES, cost, crossing } from "./cost_maths.js";
import { Explorer, define } from "./base.js";
import { draggable, html, path, scale, svg } from "./draw.js";

const HEIGHT = 340;
/** Room for the names at the ends of the lines; none on a phone. */
const NAMES = 86;
const NARROW = 520;
/** Points of a line for each doubling of the length. */
const POINTS = 4;
/** How each line looks, and its short name. */
const LOOKS = {
  stored: ["key", "", "stored"],
  tiled: ["key", "dotted", "tiled"],
  causal: ["key", "dashed", "causal"],
  window: ["query", "", "window"],
  strided: ["query", "dashed", "strided"],
  linear: ["value", "", "linear"],
  chunked: ["value", "dashed", "chunks"],
  projections: ["muted", "dashdot", "projections"],
};
const RAISED = ["⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"];
const PREFIXES = ["", "k", "M", "G", "T", "P", "E"];

/** The name in the state of whether a line is shown. */
const lineOf = (id) => `line ${id}`;
const counted = (value) => value.toLocaleString("en-GB");
const power = (exponent) =>
  `10${[...String(exponent)].map((digit) => RAISED[digit]).join("")}`;
const doubled = (exponents) => Array.from(
  { length: exponents[1] - exponents[0] + 1 }, (_, i) => 2 ** (exponents[0] + i),
);

/** Return a number in three digits and a prefix: 2.15 G. */
function brief(value, unit) {
  const step = Math.max(0, Math.floor(Math.log10(value || 1) / 3));
  const digits = Number((value / 1000 ** step).toPrecision(3));
  return `${digits} ${PREFIXES[step]}${unit}`;
}

/** Return the sizes that formulas want. */
function sizesOf({ tokens, width, heads, window }) {
  return { tokens, width, heads, window };
}

/** Return crossings of one line at one length as one: lines may lie together. */
function gathered(crossings) {
  const places = new Map();
  for (const { cheaper, dearer, tokens } of crossings) {
    const at = `${cheaper} ${tokens}`;
    const found = places.get(at) ?? { cheaper, tokens, dearer: [] };
    places.set(at, { ...found, dearer: [...found.dearer, dearer] });
  }
  return [...places.values()];
}

class Costs extends Explorer {
  #chart;
  #table;
  #crossings;

  initial({ mechanisms, measures, start }) {
    const shown = mechanisms.map(({ id, shown: at }) => [lineOf(id), at]);
    return {
      ...start, measure: measures[0].id, ...Object.fromEntries(shown),
    };
  }

  build() {
    const { measures, range, mechanisms } = this.data;
    this.controls.select("measure", {
      label: "Count", options: measures.map(({ id, label }) => [id, label]),
    });
    for (const [name, label] of [
      ["tokens", "Tokens"], ["width", "Width"], ["heads", "Heads"],
      ["window", "Window"],
    ]) {
      this.controls.slider(name, {
        label, values: doubled(range[name]), say: counted,
      });
    }
    this.#chart = this.drawing({ height: HEIGHT });
    draggable(this.#chart.element, (point) => this.#pick(point));
    const legend = html("fieldset", { class: "cost-legend" },
      html("legend", {}, "Lines"));
    for (const { id, label } of mechanisms) legend.append(this.#line(id, label));
    this.#table = html("tbody");
    this.#crossings = html("ul", { class: "cost-crossings" });
    this.stage.append(legend, this.#numbers(), this.#crossings);
  }

  /** A box to tick for one line, with a piece of the line. */
  #line(id, label) {
    const [colour, dash] = LOOKS[id];
    const sample = svg("svg", {
      class: "explorer-drawing cost-sample", width: 34, height: 12,
      "aria-hidden": "true",
    }, svg("path", { d: "M1 6L33 6", class: `line ${colour} ${dash}` }));
    const box = this.controls.toggle(lineOf(id), {
      label: html("span", {}, sample, label),
    });
    const input = box.querySelector("input");
    this.controls.onstate(({ measure }) => {
      input.disabled = !MEASURES[measure].formulas[id];
    });
    return box;
  }

  #numbers() {
    this.heading = html("th", { scope: "col" });
    return html("table", { class: "explorer-table cost-table" },
      html("thead", {}, html("tr", {},
        html("th", { scope: "col" }, "mechanism"), this.heading,
        html("th", { scope: "col" }, "at twice the length"))),
      this.#table);
  }


  compute(state) {
    const { measure } = state;
    const sizes = sizesOf(state);
    const [least, most] = this.#lengths();
    const now = {};
    const later = {};
    for (const { id } of this.data.mechanisms) {
      const value = cost(measure, id, sizes);
      if (value === undefined) continue;
      now[id] = value;
      later[id] = cost(measure, id, { ...sizes, tokens: 2 * sizes.tokens });
    }
    const shown = Object.keys(now).filter((id) => state[lineOf(id)]);
    const crossings = [];
    shown.forEach((one, at) => {
      for (const other of shown.slice(at + 1)) {
        const found = crossing(measure, one, other, sizes, [least, most]);
        if (found) crossings.push(found);
      }
    });
    crossings.sort((one, other) => one.tokens - other.tokens);
    return { now, later, shown, crossings };
  }

  #lengths() {
    const [from, to] = this.data.range.tokens;
    return [2 ** from, 2 ** to];
  }

  draw(numbers) {
    this.#drawChart(numbers);
    this.#fill(numbers);
  }

  #frame() {
    const { width } = this.#chart;
    const right = width - (width < NARROW ? 12 : NAMES);
    return { left: 46, right, top: 28, bottom: HEIGHT - 44 };
  }

  #pick({ x }) {
    const { left, right } = this.#frame();
    const [from, to] = this.data.range.tokens;
    const at = Math.round(scale([left, right], [from, to])(x));
    this.set({ tokens: 2 ** Math.min(to, Math.max(from, at)) });
  }

  /** Return the points of each line that is shown. */
  #curves(shown) {
    const { measure } = this.state;
    const sizes = sizesOf(this.state);
    const [from, to] = this.data.range.tokens;
    const lengths = Array.from({ length: POINTS * (to - from) + 1 }, (_, i) =>
      Math.round(2 ** (from + i / POINTS)));
    return shown.map((id) => [id, lengths.map((tokens) => [
      tokens, cost(measure, id, { ...sizes, tokens }),
    ])]);
  }

  #drawChart({ shown, now }) {
    const chart = this.#chart;
    const { tokens, measure } = this.state;
    chart.clear(
      `${this.#measure().label} against the number of tokens, both axes `
      + `logarithmic, one line for each of: ${shown.map((id) =>
        LOOKS[id][2]).join(", ") || "none"}. A line marks ${tokens} tokens; `
      + "the table below has the numbers there.",
    );
    const curves = this.#curves(shown);
    const values = curves.flatMap(([, points]) => points.map(([, y]) => y));
    const low = Math.floor(Math.log10(Math.min(...values, 1e4)));
    const high = Math.ceil(Math.log10(Math.max(...values, 1e5)));
    const { left, right, top, bottom } = this.#frame();
    const log = { log: true };
    const x = scale(this.#lengths(), [left, right], log);
    const y = scale([10 ** low, 10 ** high], [bottom, top], log);
    this.#axes(x, y, low, high);
    chart.add("path", {
      d: path([[x(tokens), top], [x(tokens), bottom]]), class: "line thin ink",
    });
    for (const [id, points] of curves) {
      const [colour, dash] = LOOKS[id];
      chart.add("path", {
        d: path(points.map(([n, value]) => [x(n), y(value)])),
        class: `line ${colour} ${dash}`, "data-line": id,
      });
      chart.add("circle", {
        cx: x(tokens), cy: y(now[id]), r: 4, class: colour,
      });
    }
    if (chart.width >= NARROW) this.#names(curves, right + 6, y);
    chart.text(left, 14, MEASURES[measure].unit);
  }

  #axes(x, y, low, high) {
    const chart = this.#chart;
    const { left, right, top, bottom } = this.#frame();
    chart.add("path", {
      d: path([[left, top], [left, bottom], [right, bottom]]),
      class: "line thin muted",
    });
    const every = Math.ceil((high - low) / 7);
    for (let exponent = low; exponent <= high; exponent += every) {
      const at = y(10 ** exponent);
      chart.add("path", {
        d: path([[left, at], [right, at]]), class: "line thin faint",
      });
      chart.text(left - 5, at + 4, power(exponent), { class: "small end" });
    }
    const narrow = chart.width < NARROW;
    for (const tokens of [16, 256, 4096, 65_536, 1_048_576]) {
      // On a phone the last two would stand on one another.
      if (narrow && tokens === 65_536) continue;
      chart.text(x(tokens), bottom + 18, counted(tokens), {
        class: `small ${tokens > 1e6 ? "end" : "middle"}`,
      });
    }
    chart.text((left + right) / 2, bottom + 36, "tokens", {
      class: "small middle",
    });
  }

  /** Write each line's name at its end, apart from one another. */
  #names(curves, left, y) {
    const ends = curves
      .map(([id, points]) => [y(points.at(-1)[1]), LOOKS[id]])
      .sort(([one], [other]) => one - other);
    let free = 0;
    for (const [at, [colour, , name]] of ends) {
      const place = Math.max(at + 4, free);
      free = place + 14;
      this.#chart.text(left, place, name, { class: `small ${colour}` });
    }
  }

  #measure() {
    return this.data.measures.find(({ id }) => id === this.state.measure);
  }

  #label(id) {
    return this.data.mechanisms.find((each) => each.id === id).label;
  }

  #unit() {
    return MEASURES[this.state.measure].unit === "bytes" ? "B" : "";
  }

  #fill({ now, later, shown, crossings }) {
    this.heading.textContent = `${MEASURES[this.state.measure].unit} at `
      + `${counted(this.state.tokens)} tokens`;
    const rows = [...shown].sort((one, other) => now[one] - now[other]);
    this.#table.replaceChildren(...rows.map((id) =>
      html("tr", {}, html("th", { scope: "row" }, this.#label(id)),
        html("td", {}, brief(now[id], this.#unit())),
        html("td", {}, `${(later[id] / now[id]).toFixed(2)} times as much`))));
    this.#crossings.replaceChildren(...gathered(crossings).map(
      ({ cheaper, dearer, tokens }) => html("li", {},
        `From ${counted(tokens)} tokens on, “${this.#label(cheaper)}” lies `
        + `below ${dearer.map((id) => `“${this.#label(id)}”`).join(" and ")}.`)));
  }

  words({ now, shown, crossings }) {
    if (!shown.length) return "No line is shown.";
    const [least, ...others] = [...shown].sort((a, b) => now[a] - now[b]);
    const most = others.at(-1) ?? least;
    const told = (id) =>
      `“${this.#label(id)}”, ${brief(now[id], this.#unit())}`;
    const first = `At ${counted(this.state.tokens)} tokens the least is `
      + `${told(least)}`;
    const second = now[most] > now[least] ? `; the most is ${told(most)}.` : ".";
    const crossed = crossings.length
      ? ` ${crossings.length > 1 ? `${crossings.length} pairs of lines cross` : "One pair of lines crosses"}; the list says where.`
      : " No two of these lines cross.";
    return first + second + crossed;
  }
}

define("cost", Costs);
