/**
 * <live-exercise>: makes an editor and buttons of a question's stub.
 *
 * The page holds all that is to be read; nothing here is needed for that.
 * The editor comes when the stub is first touched, Python when an answer is
 * first changed, checked or run.
 */

import { compose } from "./compose.js";
import { button, debounced, el, told } from "./dom.js";
import { Draft } from "./draft.js";
import { climb } from "./hints.js";
import { Keeper } from "./keeper.js";
import { MARKS, stateOf, store } from "./store.js";
import { headline, ranHeadline, showRun, showVerdict } from "./verdict.js";

const EMPTY = "# Call your function here. The last line's value is shown.\n";
const KEYS =
  "Tab indents. Escape, then Tab, leaves the editor. Ctrl+Enter checks, " +
  "Shift+Enter runs.";

/** Python in this page; its files are loaded on the first call. */
const python = () => import("./engine.js").then((it) => it.engine);

class LiveExercise extends HTMLElement {
  #busy = "";
  #shown = false;
  #followed = false;

  connectedCallback() {
    if (this.facts) return;
    this.facts = told(this);
    const { id, stub } = this.facts;
    const kept = store.read(id);
    this.box = this.querySelector("section");
    const keys = el("p.live-keys", { id: `${this.id}-keys`, hidden: true },
      KEYS);
    this.keys = keys;
    this.#makeDrafts(kept);
    this.#makeBar();
    this.keeper = new Keeper(this.facts, this.answer, this.notices);
    climb([...this.querySelectorAll(".live-hint")], kept.hints ?? 0, (n) =>
      store.change(id, { hints: n }));
    this.mark = el("span.live-mark");
    this.querySelector(".live-title").append(" ", this.mark);
    const marked = () => this.#showMark(stateOf(store.read(id), stub));
    store.watch((changed) => (!changed || changed === id) && marked());
    marked();
    this.querySelector(".live-way").firstChild.textContent =
      "You can also write your answer in the unit\u2019s notebook, ";
    this.classList.add("is-live");
  }

  #makeDrafts(kept) {
    const { id, title, stub, scratch } = this.facts;
    const shared = {
      describedby: this.keys.id,
      onopen: () => (this.keys.hidden = false),
      oncheck: () => this.#check(),
      onrun: () => this.#run(),
    };
    const answer = this.querySelector(".live-answer");
    this.answer = new Draft(answer, {
      ...shared,
      text: kept.text ?? stub,
      label: `Your answer: ${title}`,
      onchange: () => this.#changed(),
    });
    let tried = this.querySelector(".live-scratch");
    if (!tried) {
      tried = el("div.live-scratch");
      const about = el("summary", {}, "Code to try your answer with");
      this.fold = el("details.live-try", {}, about, tried);
      answer.after(this.fold);
    }
    const keep = debounced(() =>
      store.change(id, { scratch: this.scratch.text }), 400);
    this.scratch = new Draft(tried, {
      ...shared,
      text: kept.scratch ?? (scratch || EMPTY),
      label: `Code that tries: ${title}`,
      onchange: keep,
    });
    this.scratch.opener.textContent = "Change this code";
    tried.after(this.scratch.opener);
    addEventListener("pagehide", keep.flush);
  }

  #makeBar() {
    this.buttons = [
      button("Check", () => this.#check(), { "data-main": true }),
      button("Run", () => this.#run()),
      button("Reset", () => this.#reset()),
    ];
    this.stopper = button("Stop", () => this.#stop(), { hidden: true });
    const bar = el(
      "div.live-bar",
      { role: "group", "aria-label": "Work on your answer" },
      this.answer.opener, ...this.buttons, this.stopper,
    );
    this.notices = el("div.live-notices", { role: "status" });
    this.status = el("p.live-status", { role: "status" });
    this.loading = el("progress.live-loading", {
      max: "1", value: "0", hidden: true, "aria-label": "Loading Python",
    });
    this.found = el("div.live-found");
    this.result = el("div.live-result", {},
      this.status, this.loading, this.found);
    this.querySelector(".live-answer").after(
      this.keys, bar, this.notices, this.result);
  }

  #showMark(state) {
    const [sign, word] = MARKS[state];
    this.mark.dataset.state = state;
    this.mark.replaceChildren(
      el("span", { "aria-hidden": "true" }, sign), ` ${word}`);
  }

  #changed() {
    this.keeper?.changed();
    // The first change is the time to fetch Python: a check will follow.
    this.warm ??= python().then((it) => it.ready()).catch(() => {});
    if (this.#shown && !this.#busy && !this.result.dataset.old) {
      this.result.dataset.old = "yes";
      this.status.append(" You have changed your text since.");
    }
  }

  /** Return what to run, and how to find a line of it again. */
  #composed(scratch) {
    const others = [...document.querySelectorAll("live-exercise")]
      .filter((each) => each !== this && each.facts)
      .filter((each) => each.facts.unit === this.facts.unit)
      .map(({ facts, answer }) => ({ ...facts, text: answer.text }));
    return compose(this.answer.text, others, scratch);
  }

  #check() {
    const { id, kind } = this.facts;
    const { source, locate } = this.#composed();
    const text = this.answer.text;
    this.keeper.changed.flush();
    this.#ask("Checking", (engine) => engine.check(id, source), (verdict) => {
      this.#tell(headline(verdict, kind), verdict.verdict);
      showVerdict(this.found, verdict, this.#page(locate));
      this.#markLine(verdict.error, locate);
      if (verdict.verdict === "pass") store.change(id, { right: text });
    });
  }

  #run() {
    const { source, locate } = this.#composed(this.scratch.text);
    const questionId = this.facts.id;
    const call = (engine) => engine.run(source, { questionId });
    this.#ask("Running", call, (ran) => {
      this.#tell(ranHeadline(ran), ran.error ? "error" : "ran");
      showRun(this.found, ran, this.#page(locate));
      this.#markLine(ran.error, locate);
    });
  }

  /** Ask Python something, one thing at a time, and show its answer. */
  async #ask(doing, call, show) {
    if (this.#busy) return;
    this.#begin(doing);
    let shown;
    try {
      const engine = await python();
      this.#follow(engine);
      const answer = await call(engine);
      shown = () => show(this.stopped ? { verdict: "stopped" } : answer);
    } catch (error) {
      shown = this.stopped
        ? () => show({ verdict: "stopped" })
        : () => this.#failed(error);
    }
    this.#end();
    shown();
  }

  #begin(doing) {
    this.#busy = doing;
    this.stopped = false;
    this.answer.mark(null);
    this.scratch.mark(null);
    this.#tell(`${doing}\u2026`, "busy");
    this.found.replaceChildren();
    for (const each of this.buttons) each.setAttribute("aria-disabled", true);
    this.stopper.hidden = false;
  }

  #end() {
    this.#busy = "";
    this.#shown = true;
    this.loading.hidden = true;
    for (const each of this.buttons) each.removeAttribute("aria-disabled");
    if (document.activeElement === this.stopper) this.buttons[0].focus();
    this.stopper.hidden = true;
  }

  /** Show how far Python has come, while this exercise waits for it. */
  #follow(engine) {
    if (this.#followed) return;
    this.#followed = true;
    engine.onstate((state, progress) => {
      if (!this.#busy) return;
      const loads = state === "loading";
      this.loading.hidden = !loads;
      if (loads) this.loading.value = progress ?? 0;
      const said = loads
        ? "Loading Python into this page, once"
        : this.#busy;
      if (!this.status.textContent.startsWith(said)) {
        this.#tell(`${said}\u2026`, "busy");
      }
    });
  }

  #tell(text, verdict) {
    this.status.textContent = text;
    this.result.dataset.verdict = verdict;
    delete this.result.dataset.old;
  }

  #failed(error) {
    this.#tell("Python could not be loaded into this page.", "lost");
    const said = error?.message ? ` (${error.message})` : "";
    this.found.replaceChildren(el("p", {}, `Your text is kept${said}. You ` +
      "can try again, or solve this in the notebook, which is linked below."));
  }

  #page(locate) {
    const goTo = (name, line) => this.#draft(name)?.open(line);
    return { places: this.facts.places, locate, goTo };
  }

  #draft(name) {
    return { answer: this.answer, scratch: this.scratch }[name];
  }

  #markLine(error, locate) {
    if (!error?.line) return;
    const { name, line } = locate(error.line);
    this.#draft(name)?.mark(line);
  }

  #stop() {
    this.stopped = true;
    python().then((engine) => engine.stop());
  }

  #reset() {
    if (this.#busy) return;
    this.keeper.reset();
    this.found.replaceChildren();
    this.#tell("", "");
    this.#shown = false;
  }
}

customElements.define("live-exercise", LiveExercise);
