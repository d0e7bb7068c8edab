/** Show what a check or a run found, in words first. */

import { button, el, number } from "./dom.js";

const HEADLINES = {
  pass: "All right",
  partial: "Partly right",
  fail: "Not yet right",
  error: "It stopped with an error",
  todo: "Still to do",
  timeout: "Stopped: it took longer than ten seconds",
  stopped: "Stopped",
  lost: "Python came to an end while it ran this",
};
const MORE = {
  todo: "Write your answer in the editor, then check it again.",
  timeout:
    "Is there a loop that never ends? Python has been started anew; " +
    "your text is as it was.",
  stopped: "Python has been started anew; your text is as it was.",
  lost:
    "It may have run out of memory. Python has been started anew; your " +
    "text is as it was.",
};

/**
 * Return the line that tells the result.
 * @param {object} verdict what the engine's check returned
 * @param {string} kind of the question
 */
export function headline(verdict, kind) {
  const { stages = [] } = verdict;
  if (kind === "predict" && verdict.verdict === "pass") {
    return "All predictions are made. Run the experiment below to see " +
      "what happens.";
  }
  const said = HEADLINES[verdict.verdict] ?? verdict.verdict;
  if (!stages.length || MORE[verdict.verdict]) return `${said}.`;
  const right = stages.filter((each) => each.passed).length;
  const points =
    `${number(verdict.points)} of ${number(verdict.max_points)} points`;
  if (verdict.verdict === "pass") return `${said}: ${points}.`;
  return `${said}: ${right} of ${stages.length} parts hold, ${points}.`;
}

/**
 * Fill a box with the rest of a verdict, the most useful first.
 * @param {HTMLElement} box
 * @param {object} verdict
 * @param {{places: Object<string, {href: string, title: string}>,
 *   locate: (line: number) => {name: string, line: number},
 *   goTo: (name: string, line: number) => void}} page
 */
export function showVerdict(box, verdict, page) {
  const { diagnosis = [], stages = [], notes = [] } = verdict;
  box.replaceChildren();
  const more = MORE[verdict.verdict];
  if (more) box.append(el("p", {}, more));
  if (verdict.says && !more) box.append(el("p", {}, verdict.says));
  for (const note of notes) box.append(el("p", {}, note));
  if (diagnosis.length) box.append(diagnosed(diagnosis, page.places));
  if (verdict.error) box.append(failure(verdict.error, page));
  if (stages.length && !more) box.append(table(stages));
  if (verdict.picture) box.append(...picture(verdict.picture));
  if (verdict.output) {
    box.append(printed(verdict.output, verdict.cut));
  }
}

/** Fill a box with what a run printed, returned or raised. */
export function showRun(box, ran, page) {
  box.replaceChildren();
  const early = endedEarly(ran);
  if (early) box.append(el("p", {}, MORE[early]));
  else if (ran.error) box.append(failure(ran.error, page));
  if (ran.output) box.append(printed(ran.output, ran.cut));
  if (ran.value != null && ran.value !== "") {
    box.append(printed(ran.value, false, "The value of the last line"));
  }
}

/** Return the verdict of a run that the engine ended, or undefined. */
function endedEarly({ verdict, error }) {
  const names = { TimeoutError: "timeout", Lost: "lost", Stopped: "stopped" };
  return verdict ?? (error?.line == null ? names[error?.name] : undefined);
}

/** Return the line that tells how a run went. */
export function ranHeadline(ran) {
  const early = endedEarly(ran);
  if (early) return `${HEADLINES[early]}.`;
  if (ran.error) return `${HEADLINES.error}.`;
  if (ran.output || (ran.value != null && ran.value !== "")) {
    return "It ran.";
  }
  return "It ran, and printed nothing.";
}

function diagnosed(diagnosis, places) {
  const box = el("div.live-diagnosis");
  if (diagnosis.length > 1) {
    box.append(el("p", {}, "Two things come together here."));
  }
  for (const each of diagnosis) {
    const place = places[each.section];
    const said = el("p", {}, `${each.says} `);
    if (place) {
      said.append(
        "Read: ", el("a", { href: place.href }, place.title), ".",
      );
    }
    const error = each.error && places[each.error.toLowerCase()];
    if (error) {
      said.append(
        " The documents have it, too: ",
        el("a", { href: error.href }, each.error), ".",
      );
    }
    box.append(said);
  }
  return box;
}

function failure(error, page) {
  const box = el("p.live-failure", {}, el("strong", {}, error.name));
  const place = error.line ? page.locate(error.line) : null;
  if (place) {
    const where = {
      answer: "your answer",
      scratch: "the code that tries it",
    }[place.name] ?? `your answer to “${place.name}”`;
    box.append(` in line ${place.line} of ${where}`);
  }
  if (error.message) box.append(`: ${error.message}`);
  if (place && ["answer", "scratch"].includes(place.name)) {
    const go = () => page.goTo(place.name, place.line);
    box.append(" ", button(`Go to line ${place.line}`, go));
  }
  return box;
}

function table(stages) {
  const head = ["", "Part", "What must hold", "Points"].map((text) =>
    el("th", { scope: "col" }, text || el("span.live-hidden", {}, "Result")),
  );
  const rows = stages.map((stage) => {
    const [mark, word] = stage.passed ? ["✓", "holds"] : ["✗", "fails"];
    return el(
      "tr", { "data-passed": String(stage.passed) },
      el("td.live-tick", {},
        el("span", { "aria-hidden": "true" }, mark),
        el("span.live-hidden", {}, word)),
      el("th", { scope: "row" }, stage.name),
      el("td", {}, stage.must,
        stage.reason && el("span.live-reason", {}, ` ${stage.reason}`)),
      el("td.live-points", {}, earned(stage)),
    );
  });
  return el(
    "table.live-stages", {},
    el("caption.live-hidden", {}, "The parts of the contract"),
    el("thead", {}, el("tr", {}, ...head)),
    el("tbody", {}, ...rows),
  );
}

function earned({ passed, points }) {
  return points ? `${number(passed ? points : 0)} of ${number(points)}` : "";
}

function printed(text, cut = false, title = "What your code printed") {
  return el(
    "div.live-output", {},
    el("p.live-label", {}, title),
    el("pre", { tabindex: "0", role: "group", "aria-label": title }, text),
    cut && el("p", {}, "There was more; the rest is left out."),
  );
}

/** Draw the SVG that Python made, as large as fits. */
function picture(markup) {
  const read = new DOMParser().parseFromString(markup, "image/svg+xml");
  const svg = document.importNode(read.documentElement, true);
  if (svg.localName !== "svg") return [];
  const [width, height] = ["width", "height"].map((of) =>
    parseFloat(svg.getAttribute(of)));
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.removeAttribute("height");
  svg.removeAttribute("width");
  svg.style.maxWidth = `${width}px`;
  return [
    el("p.live-label", {}, "Your weights beside the expected ones, for the " +
      "first case that differs"),
    el("div.live-picture", {}, svg),
  ];
}
