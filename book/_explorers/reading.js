/** A sentence that reads itself: a word's row, and what it mixes. */
import { Explorer, define } from "./base.js";
import { path, shade, written } from "./draw.js";
import { matmul, scaledScores, softmax } from "./maths.js";

/** Below this width the two tables stand below one another. */
const NARROW = 520;
const LABEL = 44;
const HEAD = 44;
const CELL = 30;
const ROW = 34;
/** Pixels of flow for a weight of one. */
const FLOW = 14;

class Reading extends Explorer {
  #tables;
  #mix;

  initial(data) {
    // `over` is what the mouse is on; it hides what was chosen for a while.
    return { query: data.start, key: null, over: null };
  }

  build() {
    const { tokens } = this.data;
    const asks = this.controls.choice("query", {
      label: "Which word asks?",
      options: tokens.map((token, i) => [i, token]),
    });
    asks.classList.add("reading-tokens");
    asks.querySelectorAll(".explorer-option").forEach((option, query) => {
      this.#hover(option, () => ({ query }));
    });
    this.controls.element.addEventListener("change", () => {
      // What is chosen counts, wherever the mouse was left.
      this.set({ over: null });
    });
    this.controls.select("key", {
      label: "Follow one key",
      options: [[null, "none"], ...tokens.map((token, i) => [i, token])],
    });
    const tall = HEAD + CELL * tokens.length + 16;
    this.#tables = this.drawing({
      height: (width) => (width < NARROW ? 2 * tall : tall),
    });
    this.#point(this.#tables.element, (point) => this.#cell(point));
    this.#mix = this.drawing({ height: HEAD + ROW * (tokens.length + 1) + 8 });
    this.#point(this.#mix.element, ({ y }) => {
      const key = Math.floor((y - HEAD) / ROW);
      return key >= 0 && key < tokens.length ? { key } : null;
    });
  }

  /** Show what a mouse is on, until it leaves. */
  #hover(element, find) {
    element.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "mouse") return;
      const over = find(event);
      if (JSON.stringify(over) !== JSON.stringify(this.state.over)) {
        this.set({ over });
      }
    });
    element.addEventListener("pointerleave", () => {
      if (this.state.over) this.set({ over: null });
    });
  }

  /** Let a mouse rest on a drawing, and a press choose. */
  #point(element, find) {
    const at = (event) => {
      const box = element.getBoundingClientRect();
      return find({ x: event.clientX - box.left, y: event.clientY - box.top });
    };
    this.#hover(element, at);
    element.addEventListener("click", (event) => {
      const chosen = at(event);
      if (chosen) this.set({ ...chosen, over: null });
    });
  }

  #frames() {
    const width = this.#tables.width;
    const tall = HEAD + CELL * this.data.tokens.length + 16;
    const narrow = width < NARROW;
    const room = narrow ? width : width / 2 - 10;
    const cell = Math.min(52, (room - LABEL - 2) / this.data.tokens.length);
    return [0, 1].map((i) => ({
      left: LABEL + (narrow ? 0 : i * (width / 2 + 10)),
      top: HEAD + (narrow ? i * tall : 0),
      cell,
    }));
  }

  #cell({ x, y }) {
    const count = this.data.tokens.length;
    for (const { left, top, cell } of this.#frames()) {
      const key = Math.floor((x - left) / cell);
      const query = Math.floor((y - top) / CELL);
      if (key >= 0 && key < count && query >= 0 && query < count) {
        return { query, key };
      }
    }
    return null;
  }

  compute({ query, key, over }) {
    const { queries, keys, values } = this.data;
    const scores = scaledScores(queries, keys);
    const weights = scores.map((row) => softmax(row));
    return {
      scores, weights, output: matmul(weights, values),
      query, key, ...over,
    };
  }

  draw(numbers) {
    this.#drawTables(numbers);
    this.#drawMix(numbers);
    this.querySelectorAll(".reading-tokens .explorer-option").forEach(
      (option, i) => option.classList.toggle("shown", i === numbers.query),
    );
  }

  #drawTables({ scores, weights, query, key }) {
    const { tokens } = this.data;
    const list = (row, digits) => tokens
      .map((token, j) => `${token} ${written(row[j], digits)}`).join(", ");
    this.#tables.clear(
      `Two tables, a row for each word that asks. In the row of `
      + `${tokens[query]}, the scores: ${list(scores[query], 1)}. The `
      + `weights: ${list(weights[query], 2)}.`,
    );
    const most = Math.max(...scores.flat());
    const [one, two] = this.#frames();
    this.#table(one, "scores", scores, most, 1, query, key);
    this.#table(two, "weights: rows sum to 1", weights, 1, 2, query, key);
  }

  #table({ left, top, cell }, title, matrix, most, digits, query, key) {
    const { tokens } = this.data;
    const tables = this.#tables;
    const count = tokens.length;
    tables.text(left, top - 28, title);
    tokens.forEach((token, i) => {
      const bold = i === query ? "bold" : "";
      tables.text(left - 6, top + CELL * (i + 0.5) + 4, token, {
        class: `small end query ${bold}`,
      });
      tables.text(left + cell * (i + 0.5), top - 6, token, {
        class: `small middle key ${i === key ? "bold" : ""}`,
      });
    });
    matrix.forEach((row, i) => row.forEach((value, j) => {
      tables.add("rect", {
        x: left + cell * j, y: top + CELL * i, width: cell, height: CELL,
        class: "grid", style: shade("key", value / most),
      });
      tables.text(
        left + cell * (j + 0.5), top + CELL * (i + 0.5) + 4,
        written(value, digits), { class: "small middle" },
      );
    }));
    if (key !== null) {
      tables.add("rect", {
        x: left + cell * key, y: top, width: cell, height: CELL * count,
        class: "line key dashed",
      });
    }
    tables.add("rect", {
      x: left, y: top + CELL * query, width: cell * count, height: CELL,
      class: "line query thick",
    });
  }

  #drawMix({ weights, output, query, key }) {
    const { tokens, values, features } = this.data;
    const mix = this.#mix;
    const row = weights[query];
    mix.clear(
      `What ${tokens[query]} reads: ` + tokens.map((token, j) =>
        `${written(row[j])} of ${token}`).join(", ")
      + ". Its output: " + features.map((feature, c) =>
        `${feature} ${written(output[query][c])}`).join(", ") + ".",
    );
    const { width } = mix;
    const cell = Math.min(60, (width - LABEL - 130) / features.length);
    const right = width - 30;
    const start = right - cell * features.length;
    const full = start - LABEL - 64;
    mix.text(LABEL, 14, `weights of ${quoted(tokens[query])}`);
    mix.text(start, 14, "values");
    features.forEach((feature, c) => {
      mix.text(start + cell * (c + 0.5), HEAD - 8, feature, {
        class: "small middle value",
      });
    });
    let flow = 0;
    tokens.forEach((token, j) => {
      const y = HEAD + ROW * j;
      const middle = y + ROW / 2;
      const end = LABEL + Math.max(1, full * row[j]);
      mix.text(LABEL - 6, middle + 4, token, {
        class: `small end key ${j === key ? "bold" : ""}`,
      });
      mix.add("rect", {
        x: LABEL, y: y + 8, width: end - LABEL, height: ROW - 16,
        class: "key",
      });
      mix.text(end + 4, middle + 4, written(row[j]), { class: "small" });
      this.#stream([[end + 36, middle], [start - 3, middle]], row[j]);
      values[j].forEach((value, c) => {
        const x = start + cell * c;
        mix.add("rect", {
          x, y: y + 3, width: cell, height: ROW - 6, class: "grid",
          style: shade("value", row[j] * value),
        });
        mix.text(x + cell / 2, middle + 4, written(value, 1), {
          class: "small middle",
        });
      });
      // What has been read so far flows down beside the values.
      this.#stream([[right + 2, middle], [right + 14, middle]], row[j]);
      const edge = (FLOW * row[j]) / 2;
      flow += row[j];
      this.#stream(
        [[right + 14, middle - edge], [right + 14, middle + ROW]], flow,
      );
    });
    this.#drawOutput(output[query], { start, right, cell });
    if (key !== null) {
      mix.add("rect", {
        x: 1, y: HEAD + ROW * key, width: right, height: ROW,
        class: "line key dashed",
      });
    }
  }

  #drawOutput(output, { start, right, cell }) {
    const mix = this.#mix;
    const { tokens, features } = this.data;
    const y = HEAD + ROW * tokens.length;
    mix.text(start - 10, y + ROW / 2 + 4, "output", { class: "end output" });
    features.forEach((_, c) => {
      const x = start + cell * c;
      mix.add("rect", {
        x, y: y + 3, width: cell, height: ROW - 6, class: "grid",
        style: shade("output", output[c]),
      });
      mix.text(x + cell / 2, y + ROW / 2 + 4, written(output[c]), {
        class: "small middle bold",
      });
    });
    // The flow turns into the row, as wide as all weights together.
    const middle = y + ROW / 2;
    this.#stream([
      [right + 14, y - ROW / 2], [right + 14, middle], [right + 10, middle],
    ], 1);
    mix.add("path", {
      d: path([
        [right + 11, middle - 12], [right + 1, middle],
        [right + 11, middle + 12],
      ]),
      class: "value",
    });
    mix.add("rect", {
      x: start, y: y + 3, width: right - start, height: ROW - 6,
      class: "line output",
    });
  }

  #stream(points, weight) {
    if (weight < 0.005) return;
    this.#mix.add("path", {
      d: path(points), class: "line value", style:
        `stroke-width: ${Math.max(1, FLOW * weight).toFixed(1)}px`,
    });
  }

  words({ scores, weights, query, key }) {
    const { tokens, queries, keys } = this.data;
    const asks = quoted(tokens[query]);
    if (key === null) {
      const order = tokens.map((_, j) => j)
        .sort((a, b) => weights[query][b] - weights[query][a]);
      const [first, second] = order.map(
        (j) => `${quoted(tokens[j])} (${written(weights[query][j])})`,
      );
      return `${asks} reads mostly from ${first}, then from ${second}.`;
    }
    const terms = queries[query].map(
      (q, c) => `${q} \u00d7 ${keys[key][c]}`,
    ).join(" + ");
    const root = `\u221a${keys[key].length}`;
    const answers = quoted(tokens[key]);
    return `${asks} asks, ${answers} answers: score (${terms}) / ${root} `
      + `= ${written(scores[query][key], 1)}, weight `
      + `${written(weights[query][key])}. That share of the value of `
      + `${answers} goes into the output of ${asks}.`;
  }
}

/** A word of the sentence, apart from the words about it. */
function quoted(token) {
  return `\u201c${token}\u201d`;
}

define("reading", Reading);
