/** Scores on bars, a temperature, and what they make of the weights. */
import { Explorer, define } from "./base.js";
import { draggable, html, path, scale, written } from "./draw.js";
import { entropy, jacobianSize, softmax } from "./maths.js";

/** Height of one key's row, of an axis and of a chart, in pixels. */
const ROW = 38;
const HEAD = 24;
const CHART = 190;
/** Below this width the two charts stand below one another. */
const NARROW = 520;
const POINTS = 120;
const DASHES = ["", "dashed", "dashdot", "dotted"];
/** Below this the weights no longer follow the scores. */
const DEAF = 0.01;

/** All that one temperature makes of the scores. */
function at(scores, temperature) {
  const weights = softmax(scores, temperature);
  return {
    weights,
    entropy: entropy(weights),
    jacobian: jacobianSize(weights) / temperature,
  };
}

class Temperature extends Explorer {
  #bars;
  #charts;
  #held = 0;

  initial(data) {
    return { scores: [...data.scores], temperature: data.temperature.start };
  }

  build() {
    const { min, max } = this.data.temperature;
    this.controls.slider("temperature", {
      label: "Temperature", min, max, log: true,
      say: (value) => String(Number(value.toPrecision(3))),
    });
    const boxes = html("div", { class: "temperature-scores" });
    this.state.scores.forEach((_, key) => boxes.append(this.#box(key)));
    this.#bars = this.drawing({ height: HEAD + ROW * this.state.scores.length });
    draggable(this.#bars.element, (point, first) => this.#drag(point, first));
    this.stage.append(
      html("div", { class: "temperature-rows" }, boxes, this.#bars.element),
    );
    this.#charts = this.drawing({
      height: (width) => (width < NARROW ? 2 * CHART : CHART),
    });
    draggable(this.#charts.element, (point) => this.#pick(point));
  }

  #box(key) {
    const { min, max, step } = this.data.score;
    return this.controls.number({
      label: html(
        "span", {},
        html("span", { class: "explorer-hidden" }, "Score of "), `k${key + 1}`,
      ),
      min, max, step,
      get: (state) => state.scores[key],
      set: (value) => this.#score(key, value),
    });
  }

  #score(key, value) {
    const { min, max, step } = this.data.score;
    const scores = [...this.state.scores];
    const kept = Math.min(max, Math.max(min, Math.round(value / step) * step));
    scores[key] = Number(kept.toFixed(1));
    this.set({ scores });
  }

  #drag({ x, y }, first) {
    const keys = this.state.scores.length;
    if (first) this.#held = Math.floor((y - HEAD) / ROW);
    if (this.#held < 0 || this.#held >= keys) return;
    const [from, to] = this.#panels()[0];
    // The weights' half of the drawing is no handle.
    if (first && x > to + 8) this.#held = -1;
    else {
      const { min, max } = this.data.score;
      this.#score(this.#held, scale([from, to], [min, max])(x));
    }
  }

  #pick({ x }) {
    const { min, max } = this.data.temperature;
    const { left, right } = this.#frames().find(
      (frame) => x <= frame.right + 15,
    ) ?? this.#frames().at(-1);
    const share = Math.min(1, Math.max(0, (x - left) / (right - left)));
    const temperature = min * (max / min) ** share;
    this.set({ temperature: Number(temperature.toPrecision(3)) });
  }

  compute({ scores, temperature }) {
    const { min, max } = this.data.temperature;
    const curve = Array.from({ length: POINTS + 1 }, (_, i) => {
      const t = min * (max / min) ** (i / POINTS);
      return { temperature: t, ...at(scores, t) };
    });
    return { ...at(scores, temperature), most: Math.log(scores.length), curve };
  }

  draw(numbers) {
    this.#drawBars(numbers);
    this.#drawCharts(numbers);
  }

  #panels() {
    const width = this.#bars.width;
    const middle = Math.round(width / 2);
    return [[8, middle - 12], [middle + 12, width - 42]];
  }

  #drawBars({ weights }) {
    const bars = this.#bars;
    const { scores } = this.state;
    const { min, max } = this.data.score;
    bars.clear(
      "Bars. " + scores.map((score, key) =>
        `k${key + 1}: score ${written(score, 1)}, `
        + `weight ${written(weights[key])}`).join("; ") + ".",
    );
    const [[left, right], [start, end]] = this.#panels();
    const x = scale([min, max], [left, right]);
    const share = scale([0, 1], [start, end]);
    bars.text((left + right) / 2, 14, "scores", { class: "middle" });
    bars.text(start, 14, "weights");
    scores.forEach((score, key) => {
      const y = HEAD + key * ROW;
      bars.add("rect", {
        x: left, y, width: right - left, height: ROW, fill: "transparent",
      });
      bars.add("rect", {
        x: Math.min(x(0), x(score)), y: y + 8, height: ROW - 16,
        width: Math.abs(x(score) - x(0)), class: "key score",
      });
      bars.add("circle", {
        cx: x(score), cy: y + ROW / 2, r: 8, class: "key handle",
      });
      bars.add("rect", {
        x: start, y: y + 8, height: ROW - 16,
        width: Math.max(1, share(weights[key]) - start), class: "key weight",
      });
      bars.text(share(weights[key]) + 6, y + ROW / 2 + 5, written(weights[key]));
    });
    const bottom = HEAD + scores.length * ROW;
    bars.add("path", {
      d: path([[x(0), HEAD], [x(0), bottom]]), class: "line thin muted",
    });
    bars.add("path", {
      d: path([[start, HEAD], [start, bottom]]), class: "line thin muted",
    });
  }

  #frames() {
    const width = this.#charts.width;
    const narrow = width < NARROW;
    const wide = narrow ? width : Math.round(width / 2) - 10;
    return [0, 1].map((i) => {
      const left = 30 + (narrow ? 0 : i * (width - wide));
      const top = 28 + (narrow ? i * CHART : 0);
      return {
        left, top, right: left + wide - 40, bottom: top + CHART - 66,
      };
    });
  }

  #drawCharts({ curve, weights, most, entropy: spread, jacobian }) {
    const charts = this.#charts;
    const { temperature, scores } = this.state;
    charts.clear(
      "Curves against the temperature, with a line at "
      + `${temperature}: the weights, now `
      + `${weights.map((a) => written(a)).join(", ")}; the entropy, now `
      + `${written(spread)} of at most ${written(most)}; and the size of the `
      + `Jacobian, now ${written(jacobian, 3)}.`,
    );
    const [one, two] = this.#frames();
    this.#chart(one, "weights", 1, scores.map((_, key) => ({
      name: `k${key + 1}`,
      look: `key ${DASHES[key]}`,
      y: (each) => each.weights[key],
    })));
    this.#chart(two, "", most, [
      { name: "entropy", look: "ink", y: (each) => each.entropy },
      {
        name: "size of the Jacobian", look: "output dashed",
        y: (each) => each.jacobian,
      },
    ]);
  }

  #chart({ left, right, top, bottom }, title, highest, lines) {
    const charts = this.#charts;
    const { min, max } = this.data.temperature;
    const x = scale([min, max], [left, right], { log: true });
    const y = scale([0, highest], [bottom, top]);
    charts.text(left, top - 12, title);
    let place = left + (title ? 62 : 0);
    for (const { name, look } of lines) {
      charts.add("path", {
        d: path([[place, top - 16], [place + 22, top - 16]]),
        class: `line ${look}`,
      });
      charts.text(place + 26, top - 12, name, { class: "small" });
      place += 36 + 6.6 * name.length;
    }
    charts.add("path", {
      d: path([[left, top], [left, bottom], [right, bottom]]),
      class: "line thin muted",
    });
    charts.text(left - 6, bottom + 4, "0", { class: "small end" });
    charts.text(left - 6, top + 6, written(highest, 1), { class: "small end" });
    for (const t of [0.1, 1, 10]) {
      charts.add("path", {
        d: path([[x(t), bottom], [x(t), bottom + 5]]),
        class: "line thin muted",
      });
      charts.text(x(t), bottom + 18, t, { class: "small middle" });
    }
    charts.text((left + right) / 2, bottom + 33, "temperature", {
      class: "small middle",
    });
    for (const { look, y: value } of lines) {
      // Where a curve leaves the chart it ends, and goes on where it returns.
      const runs = [[]];
      for (const each of this.numbers.curve) {
        if (value(each) > highest * 1.04) runs.push([]);
        else runs.at(-1).push([x(each.temperature), y(value(each))]);
      }
      charts.add("path", {
        d: runs.map(path).join(""), class: `line ${look}`,
      });
    }
    const now = x(this.state.temperature);
    charts.add("path", {
      d: path([[now, top - 4], [now, bottom]]), class: "line ink now",
    });
    charts.add("circle", { cx: now, cy: bottom, r: 7, class: "ink" });
  }

  words({ weights, entropy: spread, most, jacobian }) {
    const { scores, temperature } = this.state;
    const top = Math.max(...weights);
    const winners = weights
      .map((a, key) => [a, `k${key + 1}`])
      .filter(([a]) => top - a < 1e-9)
      .map(([, name]) => name);
    const who = winners.length === scores.length
      ? "All keys share alike"
      : `${winners.join(" and ")} ${winners.length > 1 ? "have" : "has"} `
        + `the largest weight, ${written(top)}`;
    let reacts = "the weights follow the scores";
    if (jacobian < DEAF && top > 0.9) {
      reacts = "saturated: no small change of a score moves the weights";
    } else if (jacobian < DEAF) {
      reacts = "so hot that scores hardly matter";
    } else if (jacobian > 1) {
      reacts = "the smallest difference of scores decides";
    }
    return `Temperature ${temperature}. ${who}. Entropy ${written(spread)} of `
      + `at most ${written(most)}. Size of the Jacobian `
      + `${written(jacobian, 3)}: ${reacts}.`;
  }
}

define("temperature", Temperature);
