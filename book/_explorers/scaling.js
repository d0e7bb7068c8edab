/** Scores of random queries and keys: their spread, and the weights. */
import { Explorer, define } from "./base.js";
import { path, scale, written } from "./draw.js";
import { softmax } from "./maths.js";

const NARROW = 520;
const HIST = 206;
const CHART = 200;
const NAMES = {
  none: "no scale", root: "over \u221ad\u2096", width: "over d\u2096",
};
const LOOKS = { none: "key", root: "ink dashed", width: "muted dotted" };
/** What a row of scores is divided by. */
const DIVISORS = { none: () => 1, root: Math.sqrt, width: (d) => d };

class Scaling extends Explorer {
  #histogram;
  #charts;

  initial() {
    return { width: 64, scale: "none", row: 0 };
  }

  build() {
    this.controls.slider("width", {
      label: "Width d\u2096", values: this.data.widths, say: String,
    });
    this.controls.choice("scale", {
      label: "Divide the scores:",
      options: [
        ["none", "not at all"], ["root", "by \u221ad\u2096"],
        ["width", "by d\u2096"],
      ],
    });
    this.controls.button("Another query", () => {
      const rows = this.data.examples[0].length;
      this.set({ row: (this.state.row + 1) % rows });
    });
    this.#histogram = this.drawing({ height: HIST });
    this.#charts = this.drawing({
      height: (width) => (width < NARROW ? 2 * CHART : CHART),
    });
  }

  compute({ width, scale: by, row }) {
    const at = this.data.widths.indexOf(width);
    const scores = this.data.examples[at][row].map(
      (each) => each / DIVISORS[by](width),
    );
    return { ...this.data[by][at], scores, weights: softmax(scores) };
  }

  draw(numbers) {
    this.#drawHistogram(numbers);
    this.#drawCharts(numbers);
  }

  #drawHistogram({ counts, variance }) {
    const drawing = this.#histogram;
    const { edge } = this.data;
    const { width, scale: by } = this.state;
    const spread = Math.sqrt(variance);
    drawing.clear(
      `Histogram of scores at width ${width}, ${NAMES[by]}: a heap around `
      + `zero with standard deviation ${written(spread)}.`,
    );
    const left = 10;
    const right = drawing.width - 10;
    const bottom = HIST - 56;
    const x = scale([-edge, edge], [left, right]);
    const y = scale([0, Math.max(...counts)], [bottom, 26]);
    drawing.text(left, 14, "all scores");
    const outline = [[x(-edge), bottom]];
    counts.forEach((count, i) => {
      const step = (2 * edge) / counts.length;
      outline.push([x(-edge + i * step), y(count)]);
      outline.push([x(-edge + (i + 1) * step), y(count)]);
    });
    outline.push([x(edge), bottom]);
    drawing.add("path", { d: `${path(outline)}Z`, class: "key heap" });
    drawing.add("path", {
      d: path([[left, bottom], [right, bottom]]), class: "line thin muted",
    });
    for (const tick of [-edge, -edge / 2, 0, edge / 2, edge]) {
      const where = Math.abs(tick) < edge ? "middle" : tick < 0 ? "" : "end";
      drawing.text(x(tick), bottom + 17, written(tick, 0), {
        class: `small ${where}`,
      });
    }
    // One standard deviation to either side.
    const low = bottom + 26;
    drawing.add("path", {
      d: path([[x(-spread), low - 5], [x(-spread), low + 5]])
        + path([[x(-spread), low], [x(spread), low]])
        + path([[x(spread), low - 5], [x(spread), low + 5]]),
      class: "line output",
    });
    drawing.text(x(0), low + 20, `standard deviation ${written(spread)}`, {
      class: "small middle",
    });
  }

  #drawCharts({ weights, peak, scores }) {
    const charts = this.#charts;
    const { width, scale: by } = this.state;
    charts.clear(
      `One query's weights: ${weights.map((a) => written(a)).join(", ")}, `
      + `from the scores ${scores.map((s) => written(s, 1)).join(", ")}. `
      + "Beside them, the mean largest weight against the width, for three "
      + `scales: at width ${width}, ${NAMES[by]}, it is ${written(peak)}.`,
    );
    const narrow = charts.width < NARROW;
    const room = narrow ? charts.width : charts.width / 2 - 12;
    this.#drawWeights(weights, { left: 30, right: room, top: 30 });
    this.#drawPeaks({
      left: narrow ? 30 : charts.width - room + 30,
      right: charts.width - 8,
      top: (narrow ? CHART : 0) + 30,
    });
  }

  #drawWeights(weights, { left, right, top }) {
    const charts = this.#charts;
    const bottom = top + CHART - 76;
    const y = scale([0, 1], [bottom, top]);
    const step = (right - left) / weights.length;
    const { row } = this.state;
    const rows = this.data.examples[0].length;
    charts.text(left, top - 14, `weights of query ${row + 1} of ${rows}`);
    this.#axes(left, right, top, bottom);
    weights.forEach((a, j) => {
      const x = left + step * j;
      charts.add("rect", {
        x: x + step * 0.15, y: y(a), width: step * 0.7,
        height: Math.max(1, bottom - y(a)), class: "key",
      });
      charts.text(x + step / 2, y(a) - 4, written(a), { class: "small middle" });
      charts.text(x + step / 2, bottom + 16, `k${j + 1}`, {
        class: "small middle",
      });
    });
  }

  #drawPeaks({ left, right, top }) {
    const charts = this.#charts;
    const { widths } = this.data;
    const bottom = top + CHART - 76;
    const x = scale([widths[0], widths.at(-1)], [left + 6, right - 6], {
      log: true,
    });
    const y = scale([0, 1], [bottom, top]);
    charts.text(left, top - 14, "mean largest weight");
    this.#axes(left, right, top, bottom);
    for (const width of widths) {
      charts.text(x(width), bottom + 16, width, { class: "small middle" });
    }
    charts.text((left + right) / 2, bottom + 34, "width", {
      class: "small middle",
    });
    for (const [name, words] of Object.entries(NAMES)) {
      const points = this.data[name].map((each, i) => [
        x(widths[i]), y(each.peak),
      ]);
      charts.add("path", { d: path(points), class: `line ${LOOKS[name]}` });
      const [, last] = points.at(-1);
      charts.text(right, last - 8, words, { class: "small end" });
    }
    charts.add("circle", {
      cx: x(this.state.width), cy: y(this.numbers.peak), r: 7,
      class: "output now",
    });
  }

  #axes(left, right, top, bottom) {
    const charts = this.#charts;
    charts.add("path", {
      d: path([[left, top], [left, bottom], [right, bottom]]),
      class: "line thin muted",
    });
    charts.text(left - 6, bottom + 4, "0", { class: "small end" });
    charts.text(left - 6, top + 6, "1", { class: "small end" });
  }

  words({ variance, peak, sure, slope }) {
    const { width, scale: by } = this.state;
    const limit = Math.round(100 * this.data.sure);
    return `Width ${width}, ${NAMES[by]}: the variance of the scores is `
      + `${written(variance)}. The largest of eight weights is `
      + `${written(peak)} on average, and above ${limit}\u00a0% for `
      + `${written(100 * sure, 0)} of 100 queries. Mean size of the `
      + `softmax's Jacobian: ${written(slope)}.`;
  }
}

define("scaling", Scaling);
