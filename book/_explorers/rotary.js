/** A query and a key turned to their positions, and both moved together. */
import { Explorer, define } from "./base.js";
import { draggable, path, scale, written } from "./draw.js";
import { frequencies, rotary, score, turns, wavelength } from "./rotary_maths.js";

const TURN = 2 * Math.PI;
const DASHES = ["", "dashed", "dashdot", "dotted"];
/** Below this width the two charts stand below one another. */
const NARROW = 540;
const DIAL = 150;
const CHART = 240;
/** Angles are drawn for distances up to this one. */
const FAR = 10_000;
/** The lowest and the highest angle of the chart, in radians. */
const LEAST = 1e-3;

const short = (value) =>
  value.toLocaleString("en-GB", { maximumSignificantDigits: 3 });

/** Say how many of the pairs have gone round, the fastest first. */
function repeating(round, pairs) {
  if (round === 0) {
    return "No pair has gone round between them, so each tells this distance "
      + "from every smaller one.";
  }
  if (round === pairs) return "All pairs have gone round at least once.";
  const who = round === 1
    ? "Pair 0 has gone round at least once and repeats itself"
    : `Pairs 0 ${round > 2 ? "to" : "and"} ${round - 1} have gone round at `
      + "least once and repeat themselves";
  return `${who}; the slower ones tell such distances apart.`;
}

class Rotary extends Explorer {
  #dials;
  #angles;
  #scores;

  initial({ start }) {
    return {
      query: start.at, key: start.at - start.distance, shift: 0,
      base: start.base,
    };
  }

  build() {
    const { distance, at, base } = this.data.most;
    const positions = { min: 0, max: distance, say: String };
    this.controls.slider("query", { label: "Query at", ...positions });
    this.controls.slider("key", { label: "Key at", ...positions });
    this.controls.slider("shift", {
      label: "Move both by", min: 0, max: at, say: String,
    });
    this.controls.slider("base", {
      label: "Base", min: 10, max: base, log: true,
      say: (value) => value.toLocaleString("en-GB"),
    });
    this.#dials = this.drawing({
      height: (width) => DIAL * (width < NARROW ? 2 : 1),
    });
    this.#scores = this.drawing({ height: CHART });
    this.#angles = this.drawing({ height: CHART });
    draggable(this.#scores.element, (point) => this.#pick(point));
  }

  compute({ query, key, shift, base }) {
    const { query: q, key: k, most } = this.data;
    const [at, keyAt] = [query + shift, key + shift];
    const distance = query - key;
    const speeds = frequencies(q.length, base);
    const reach = Array.from(
      { length: 2 * most.distance + 1 }, (_, i) => i - most.distance,
    );
    return {
      at, keyAt, distance, speeds,
      query: rotary(q, at, base),
      key: rotary(k, keyAt, base),
      score: score(q, at, k, keyAt, base),
      angles: speeds.map((speed) => distance * speed),
      turns: turns(q.length, base, distance),
      curve: reach.map((far) => [far, score(q, far, k, 0, base)]),
    };
  }

  draw(numbers) {
    this.#drawDials(numbers);
    this.#drawScores(numbers);
    this.#drawAngles(numbers);
  }

  #drawDials({ speeds, query, key, angles, at, keyAt }) {
    const dials = this.#dials;
    const adds = speeds.map((_, pair) =>
      query[2 * pair] * key[2 * pair] + query[2 * pair + 1] * key[2 * pair + 1]);
    dials.clear(
      `Dials of the pairs, with a hand for the query at ${at} and one for the `
      + `key at ${keyAt}. ` + adds.map((each, pair) =>
        `Pair ${pair}: apart by ${short(angles[pair])} radians besides what `
        + `they began with, adds ${written(each)}`).join("; ") + ".",
    );
    const across = dials.width < NARROW ? 2 : speeds.length;
    const wide = dials.width / across;
    speeds.forEach((speed, pair) => {
      const x = wide * (pair % across + 0.5);
      const y = DIAL * Math.floor(pair / across) + 66;
      dials.text(x, y - 50, `pair ${pair}`, { class: "small middle bold" });
      dials.add("circle", { cx: x, cy: y, r: 42, class: "line thin faint" });
      this.#hand(x, y, key.slice(2 * pair, 2 * pair + 2), "key");
      this.#hand(x, y, query.slice(2 * pair, 2 * pair + 2), "query");
      dials.text(x, y + 58, `adds ${written(adds[pair])}`, {
        class: "small middle",
      });
      dials.text(x, y + 74, `once round: ${short(wavelength(speed))}`, {
        class: "small middle quiet",
      });
    });
  }

  #hand(x, y, [across, up], role) {
    const dials = this.#dials;
    const size = 34 / Math.hypot(across, up);
    const [tipX, tipY] = [x + size * across, y - size * up];
    dials.add("path", {
      d: path([[x, y], [tipX, tipY]]),
      class: `line ${role}${role === "key" ? " dashed" : ""}`,
    });
    const mark = role === "key"
      ? ["rect", { x: tipX - 5, y: tipY - 5, width: 10, height: 10 }]
      : ["circle", { cx: tipX, cy: tipY, r: 6 }];
    dials.add(mark[0], { ...mark[1], class: role });
  }

  #frame(drawing) {
    return {
      left: 44, right: drawing.width - 52, top: 30, bottom: CHART - 44,
    };
  }

  #axes(drawing, title, x, ticks, bottomTitle) {
    const { left, right, top, bottom } = this.#frame(drawing);
    drawing.text(left, top - 12, title);
    drawing.add("path", {
      d: path([[left, top], [left, bottom], [right, bottom]]),
      class: "line thin muted",
    });
    for (const [value, words] of ticks) {
      drawing.add("path", {
        d: path([[x(value), bottom], [x(value), bottom + 5]]),
        class: "line thin muted",
      });
      drawing.text(x(value), bottom + 18, words, { class: "small middle" });
    }
    drawing.text((left + right) / 2, bottom + 35, bottomTitle, {
      class: "small middle",
    });
  }

  #drawScores({ curve, score: now, distance, speeds }) {
    const drawing = this.#scores;
    drawing.clear(
      "The score against the distance of the key from the query, a curve "
      + `that swings with ${speeds.length} clocks; marked: distance `
      + `${distance}, score ${written(now)}.`,
    );
    const { left, right, top, bottom } = this.#frame(drawing);
    const { distance: most } = this.data.most;
    const x = scale([-most, most], [left, right]);
    const y = scale([-4, 4], [bottom, top]);
    const ticks = [-64, -32, 0, 32, 64].map((each) => [each, written(each, 0)]);
    this.#axes(drawing, "score, at every shift", x, ticks,
      "distance: query's position less the key's");
    for (const value of [-4, 0, 4]) {
      drawing.text(left - 6, y(value) + 4, written(value, 0), {
        class: "small end",
      });
    }
    drawing.add("path", {
      d: path([[left, y(0)], [right, y(0)]]), class: "line thin faint",
    });
    drawing.add("path", {
      d: path(curve.map(([far, value]) => [x(far), y(value)])),
      class: "line output",
    });
    drawing.add("path", {
      d: path([[x(distance), top], [x(distance), bottom]]),
      class: "line thin ink",
    });
    drawing.add("circle", {
      cx: x(distance), cy: y(now), r: 7, class: "output",
    });
  }

  #pick({ x: place }) {
    const { left, right } = this.#frame(this.#scores);
    const { distance: most } = this.data.most;
    const far = Math.round(scale([left, right], [-most, most])(place));
    const wanted = Math.min(most, Math.max(-most, far));
    // Move the key; and the query, where the key would leave its slider.
    const { query } = this.state;
    const moved = Math.min(most + Math.min(0, wanted),
      Math.max(query, Math.max(0, wanted)));
    this.set({ query: moved, key: moved - wanted });
  }

  #drawAngles({ speeds, distance, angles }) {
    const drawing = this.#angles;
    const far = Math.abs(distance);
    drawing.clear(
      "The angle of each pair against the distance, both axes logarithmic: "
      + `${speeds.length} parallel rising lines and a level line at one turn. `
      + `At distance ${far} the angles are `
      + `${angles.map((each) => short(Math.abs(each))).join(", ")} radians.`,
    );
    const { left, right, top, bottom } = this.#frame(drawing);
    const log = { log: true };
    const x = scale([1, FAR], [left, right], log);
    const y = scale([LEAST, FAR], [bottom, top], log);
    const ticks = [1, 10, 100, 1000, FAR].map((each) => [
      each, each.toLocaleString("en-GB"),
    ]);
    this.#axes(drawing, "angle in radians", x, ticks, "distance");
    for (const value of [0.01, 1, 100, 10_000]) {
      drawing.text(left - 6, y(value) + 4, value.toLocaleString("en-GB"), {
        class: "small end",
      });
    }
    drawing.add("path", {
      d: path([[left, y(TURN)], [right, y(TURN)]]), class: "line thin output",
    });
    drawing.text(left + 4, y(TURN) - 5, "one turn", { class: "small output" });
    // Names of lines that end close to one another stand apart.
    let free = 0;
    speeds.forEach((speed, pair) => {
      const name = Math.max(free, y(FAR * speed) + 4);
      free = name + 14;
      this.#line(x, y, { speed, pair, far, name });
    });
    if (far >= 1) {
      drawing.add("path", {
        d: path([[x(far), top], [x(far), bottom]]), class: "line thin ink",
      });
    }
  }

  #line(x, y, { speed, pair, far, name }) {
    const drawing = this.#angles;
    // The part of the line that lies in the chart.
    const from = Math.max(1, LEAST / speed);
    if (from < FAR) {
      drawing.add("path", {
        d: path([[x(from), y(from * speed)], [x(FAR), y(FAR * speed)]]),
        class: `line ink ${DASHES[pair]}`,
      });
      drawing.text(x(FAR) + 5, name, `pair ${pair}`, {
        class: "small",
      });
    }
    if (far >= from) {
      drawing.add("circle", {
        cx: x(far), cy: y(far * speed), r: 5, class: "ink",
      });
    }
  }

  words({ at, keyAt, distance, score: now, turns: gone }) {
    const { shift } = this.state;
    const moved = shift
      ? `Moved by ${shift}, every hand has turned and the score has not `
        + "changed: only the distance counts."
      : "Move both, and watch the score stay.";
    const fast = repeating(gone.filter((each) => each > 0).length, gone.length);
    return `Query at ${at}, key at ${keyAt}: distance ${written(distance, 0)}, `
      + `score ${written(now, 3)}. ${moved} ${fast}`;
  }
}

define("rotary", Rotary);
