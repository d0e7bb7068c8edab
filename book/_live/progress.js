/**
 * <live-progress>: lists of exercises that know how far the reader is, and
 * the button that takes the answers into the notebook.
 */

import { button, el, told } from "./dom.js";
import { download } from "./export.js";
import { MARKS, stateOf, store, troubleText } from "./store.js";

class LiveProgress extends HTMLElement {
  connectedCallback() {
    if (this.units) return;
    this.units = told(this);
    this.all = this.units.flatMap((unit) => unit.exercises);
    for (const unit of this.units) this.#prepare(unit);
    if (this.units.length > 1) this.#overall();
    store.watch(() => this.#show());
    this.#show();
    this.classList.add("is-live");
  }

  #prepare(unit) {
    const box = document.getElementById(unit.box);
    unit.line = el("p.live-sum");
    box.querySelector(".live-list").before(unit.line);
    for (const exercise of unit.exercises) {
      exercise.sign = el("span.live-mark");
      document.getElementById(exercise.mark)
        .querySelector("p").prepend(exercise.sign, " ");
    }
    const said = el("span", { role: "status" });
    const take = button("Download the notebook with my answers", () =>
      this.#export(unit, box, said));
    box.append(el("p.live-export", {}, take, " ", said));
  }

  #overall() {
    this.line = el("p.live-sum");
    this.said = el("p.live-notices", { role: "status" });
    this.trouble = el("p.live-notices");
    const forget = button("Reset all exercises", () => this.#forget());
    this.prepend(this.line, this.trouble);
    this.append(el("p.live-bar", {}, forget), this.said);
  }

  #show() {
    for (const unit of this.units) {
      for (const exercise of unit.exercises) {
        const state = stateOf(store.read(exercise.id), exercise.stub);
        const [sign, word] = MARKS[state];
        exercise.state = state;
        exercise.sign.dataset.state = state;
        exercise.sign.replaceChildren(
          el("span", { "aria-hidden": "true" }, sign), ` ${word}`);
      }
      unit.line.textContent = summary(unit.exercises);
    }
    if (!this.line) return;
    this.line.textContent = `All units: ${summary(this.all)}`;
    this.trouble.textContent = troubleText();
  }

  async #export(unit, box, said) {
    const link = box.querySelector("a.live-notebook, .live-way a");
    try {
      const { done, solved } = await download(link.href, unit.exercises);
      const open = done.filter((each) => !solved.includes(each));
      said.textContent = done.length
        ? `Downloaded, with ${counted(done.length, "answer")} of yours.` +
          (open.length
            ? ` Not solved yet: ${open.map((it) => it.title).join("; ")}.`
            : "")
        : "Downloaded as it is: you have not written an answer yet.";
    } catch (error) {
      said.textContent = `The notebook could not be read (${error.message}).`;
    }
  }

  /** Forget everything; one press brings it back. */
  #forget() {
    const undo = store.forget(this.all.map((each) => each.id));
    const back = button("Undo", () => {
      undo();
      this.said.replaceChildren("Everything is back.");
    });
    this.said.replaceChildren(
      "All answers, hints and marks are removed from this browser. ", back);
  }
}

function counted(count, word) {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

function summary(exercises) {
  const count = (state) => exercises.filter((it) => it.state === state).length;
  const left = exercises.filter((each) => each.state !== "solved");
  const minutes = left.reduce((sum, each) => sum + each.minutes, 0);
  const parts = [
    `${count("solved")} of ${exercises.length} solved`,
    `${count("tried")} tried`,
    `${count("open")} open`,
  ];
  const time = left.length ? `; about ${minutes} minutes are left` : "";
  return `${parts.join(", ")}${time}.`;
}

customElements.define("live-progress", LiveProgress);
