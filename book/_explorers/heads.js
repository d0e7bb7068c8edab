/** One sentence read by heads side by side, and what they cost. */
import { Explorer, define } from "./base.js";
import { html, path, shade, written } from "./draw.js";

/** Pixels: the words beside a matrix and above it, its cells, the gaps. */
const SIDE = 58;
const ABOVE = 62;
const CELL = { least: 11, most: 24 };
const GAP = 14;
const TITLE = 22;
/** Weights that differ by less are told as alike. */
const ALIKE = 0.005;

const whole = (number) => number.toLocaleString("en-GB");

class Heads extends Explorer {
  #maps;
  #read;
  #counts;

  initial({ start }) {
    return { ...start };
  }

  build() {
    const { cuts, words } = this.data;
    this.controls.choice("heads", {
      label: "Heads",
      options: cuts.map(({ heads, dim }) => [heads, `${heads} × ${dim}`]),
    });
    this.controls.choice("query", {
      label: "Query",
      options: words.map((_, at) => [at, this.#name(at)]),
    });
    this.#maps = this.drawing({ height: (width) => this.#places(width).height });
    for (const what of ["pointermove", "pointerdown"]) {
      this.#maps.element.addEventListener(what, (event) => this.#point(event));
    }
    this.#read = html("tbody");
    this.#counts = html("tbody");
    this.stage.append(this.#reading(), this.#costs());
  }

  /** The row of a matrix under the pointer is the query. */
  #point({ target }) {
    const row = target.dataset?.row;
    if (row && Number(row) !== this.state.query) {
      this.set({ query: Number(row) });
    }
  }

  #reading() {
    this.read = html("caption");
    const heads = this.data.words.map((word) =>
      html("th", { scope: "col" }, word));
    return html("table", { class: "explorer-table heads-read" }, this.read,
      html("thead", {}, html("tr", {},
        html("th", { scope: "col" }, "head"), ...heads)),
      this.#read);
  }

  #costs() {
    const names = ["heads × width", "parameters", "operations", "weights kept"];
    for (const { heads, dim, parameters, operations, stored } of this.data.cuts) {
      this.#counts.append(html("tr", {},
        html("th", { scope: "row" }, `${heads} × ${dim}`),
        ...[parameters, operations, stored].map((each) =>
          html("td", {}, whole(each)))));
    }
    return html("table", { class: "explorer-table heads-counts" },
      html("caption", {}, "The same width, cut into heads"),
      html("thead", {}, html("tr", {},
        ...names.map((name) => html("th", { scope: "col" }, name)))),
      this.#counts);
  }

  compute({ heads, query }) {
    const cut = this.data.cuts.find((each) => each.heads === heads);
    const rows = cut.weights.map((matrix) => matrix[query]);
    return { ...cut, rows, most: rows.map(favourites) };
  }

  draw(numbers) {
    this.#drawMaps(numbers);
    this.#fill(numbers);
  }

  /** Return where the matrices stand in so wide a drawing. */
  #places(width) {
    const { heads } = this.state;
    const count = this.data.words.length;
    const room = (across) => (width - SIDE - (across - 1) * GAP) / across / count;
    let across = Math.min(heads, 4);
    while (across > 1 && room(across) < CELL.least) across /= 2;
    const cell = Math.min(CELL.most, Math.floor(room(across)));
    const side = cell * count;
    const down = Math.ceil(heads / across);
    const tall = TITLE + side + GAP;
    return {
      cell, side, across, tall, height: ABOVE + down * tall,
    };
  }

  #drawMaps({ weights, heads }) {
    const maps = this.#maps;
    const { words } = this.data;
    maps.clear(
      `${heads} weight ${heads > 1 ? "matrices" : "matrix"} of the sentence, `
      + "rows are queries and columns keys; the row of "
      + `${this.#name(this.state.query)} is framed. Darker means more; the `
      + "table below has the numbers of that row.",
    );
    const { cell, side, across, tall } = this.#places(maps.width);
    weights.forEach((matrix, head) => {
      const left = SIDE + (head % across) * (side + GAP);
      const top = ABOVE + Math.floor(head / across) * tall + TITLE;
      maps.text(left + side / 2, top - 6, `head ${head}`, {
        class: "small middle",
      });
      if (head < across) {
        words.forEach((word, j) => {
          const x = left + (j + 0.75) * cell;
          maps.text(x, top - TITLE, word, {
            class: "small", transform: `rotate(-60 ${x} ${top - TITLE})`,
          });
        });
      }
      if (head % across === 0) {
        words.forEach((word, i) => {
          maps.text(left - 5, top + (i + 0.5) * cell + 4, word, {
            class: "small end" + (i === this.state.query ? " bold" : ""),
          });
        });
      }
      this.#matrix(matrix, left, top, cell);
    });
  }

  #matrix(matrix, left, top, cell) {
    const maps = this.#maps;
    matrix.forEach((row, i) => row.forEach((weight, j) => {
      maps.add("rect", {
        x: left + j * cell, y: top + i * cell, width: cell, height: cell,
        style: shade("key", 2 * weight), class: "heads-cell", "data-row": i,
      });
    }));
    const [y, right] = [top + this.state.query * cell, left + 8 * cell];
    maps.add("path", {
      d: `${path([[left, y], [right, y], [right, y + cell], [left, y + cell]])}Z`,
      class: "line query", "pointer-events": "none",
    });
  }

  #fill({ rows, most, heads }) {
    this.read.textContent =
      `What each head reads for ${this.#name(this.state.query)}`;
    this.#read.replaceChildren(...rows.map((row, head) =>
      html("tr", {}, html("th", { scope: "row" }, head),
        ...row.map((weight, key) => html("td", {
          style: `--share: ${(45 * weight).toFixed(1)}%`,
          class: most[head].length < row.length && most[head].includes(key)
            ? "bold" : "",
        }, written(weight))))));
    this.data.cuts.forEach((cut, at) => {
      const row = this.#counts.children[at];
      row.classList.toggle("explorer-now", cut.heads === heads);
    });
  }

  #name(at) {
    const { words } = this.data;
    const alone = words.indexOf(words[at]) === words.lastIndexOf(words[at]);
    return alone ? words[at] : `${words[at]} (${at + 1})`;
  }

  words({ heads, dim, rows, most, parameters, stored }) {
    const said = [];
    const even = [];
    most.forEach((keys, head) => {
      if (keys.length === rows[head].length) even.push(head);
      else {
        const who = keys.map((key) => this.#name(key)).join(" and ");
        said.push(`head ${head} reads mostly ${who}`);
      }
    });
    if (even.length) {
      said.push(even.length > 1
        ? `heads ${even.join(", ")} read all alike`
        : `head ${even[0]} reads all alike`);
    }
    const times = heads > 1 ? `${heads} times those of one head` : "one matrix";
    return `For ${this.#name(this.state.query)}, ${said.join("; ")}. `
      + `${heads} × ${dim} has ${whole(parameters)} parameters, as has every `
      + `cut, and keeps ${whole(stored)} weights, ${times}.`;
  }
}

/** Return the keys that get the most, with those that get as much. */
function favourites(row) {
  const most = Math.max(...row);
  return row.map((_, key) => key).filter((key) => most - row[key] < ALIKE);
}

define("heads", Heads);
