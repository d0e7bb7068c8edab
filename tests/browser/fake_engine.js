/** Stands in for Python where a test looks at the page around it. */

const listeners = new Set();
const tell = (name, fraction = 0) =>
  listeners.forEach((listener) => listener(name, fraction, ""));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const verdict = (given) => ({
  ...{ points: 0, max_points: 4, stages: [], diagnosis: [], notes: [] },
  ...{ error: null, output: "", picture: "" },
  ...given,
});
const lineOf = (source, word) =>
  source.split("\n").findIndex((line) => line.includes(word)) + 1;
const stages = (...passed) =>
  passed.map((each, i) => ({
    ...{ name: `part_${i}`, must: "something holds", points: 2 },
    ...{ passed: each, reason: each ? "" : "it did not" },
  }));
const PICTURE =
  '<svg role="img" aria-label="Two grids" width="900" height="90" ' +
  'xmlns="http://www.w3.org/2000/svg"><rect width="800" height="80"/></svg>';

let loading = null;
let halt = null;

async function load() {
  for (let part = 0; part <= 4; part += 1) {
    tell("loading", part / 4);
    await pause(60);
  }
  tell("ready", 1);
}

/** What the text says is what comes out. */
function judged(source) {
  const line = lineOf(source, "SYNTAX");
  const error = line
    ? { name: "SyntaxError", message: "invalid syntax", line }
    : null;
  if (source.includes("WRONG")) {
    return verdict({
      error,
      ...{ verdict: "partial", points: 2, stages: stages(true, false) },
      diagnosis: [{
        ...{ name: "over_queries", says: "You sum over the queries." },
        ...{ section: "dense-over-queries", error: "E12" },
      }],
      ...{ picture: PICTURE, output: "printed\n" },
    });
  }
  if (error) {
    return verdict({ verdict: "error", stages: stages(false, false), error });
  }
  if (source.includes("NotImplementedError")) {
    return verdict({ verdict: "todo" });
  }
  return verdict({ verdict: "pass", points: 4, stages: stages(true, true) });
}

export const engine = {
  asked: [],
  onstate: (listener) => listeners.add(listener),
  ready: () => (loading ??= load()),
  async check(questionId, source) {
    await this.ready();
    tell("busy", 1);
    this.asked.push([questionId, source]);
    if (source.includes("LOOP")) {
      await new Promise((resolve) => (halt = resolve));
      return verdict({ verdict: "stopped" });
    }
    return judged(source);
  },
  async run(source) {
    await this.ready();
    this.asked.push(["run", source]);
    return { output: `ran ${source.length}`, value: "", error: null };
  },
  stop: () => halt?.(),
};
