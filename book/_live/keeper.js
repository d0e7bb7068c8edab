/**
 * Keeps an answer's text: saves what is typed, brings back what was reset,
 * and asks when another tab has kept something else.
 */

import { button, debounced, el } from "./dom.js";
import { store, troubleText } from "./store.js";

export class Keeper {
  #facts;
  #draft;
  #notices;
  #revision;
  #saved;
  #torn = false;

  /**
   * @param {{id: string, stub: string, version: string}} facts
   * @param {{text: string}} draft
   * @param {HTMLElement} notices where to say what needs saying
   */
  constructor(facts, draft, notices) {
    this.#facts = facts;
    this.#draft = draft;
    this.#notices = notices;
    const kept = store.read(facts.id);
    this.#revision = kept.revision;
    this.#saved = draft.text;
    this.changed = debounced(() => this.#save(), 400);
    addEventListener("pagehide", this.changed.flush);
    store.watch((id, elsewhere) => {
      if (elsewhere && (!id || id === facts.id)) this.#elsewhere();
      else if (!id) this.#forgotten();
    });
    if (kept.text !== undefined && kept.version !== facts.version) {
      this.#stubChanged();
    }
    if (kept.text === undefined && kept.before !== undefined) {
      this.#offerUndo();
    }
    this.#trouble();
  }

  #say(key, text = "", ...buttons) {
    const old = this.#notices.querySelector(`[data-key="${key}"]`);
    const now = text && el("p.live-notice", { "data-key": key }, text,
      ...buttons.flatMap((each) => [" ", each]));
    if (old && now) old.replaceWith(now);
    else if (old) old.remove();
    else if (now) this.#notices.append(now);
  }

  #trouble() {
    this.#say("trouble", troubleText());
  }

  #save() {
    const text = this.#draft.text;
    if (text === this.#saved || this.#torn) return;
    const { id, stub, version } = this.#facts;
    const { kept, conflict } = store.keepText(
      id, text === stub ? undefined : text, version, this.#revision);
    if (conflict) {
      this.#ask(kept);
      return;
    }
    this.#revision = kept.revision;
    this.#saved = text;
    this.#say("torn");
    if (text !== stub) this.#say("undo");
    this.#trouble();
  }

  /** Another tab has changed the record. */
  #elsewhere() {
    const kept = store.read(this.#facts.id);
    if (kept.revision === this.#revision) return;
    const theirs = kept.text ?? this.#facts.stub;
    if (theirs === this.#draft.text) this.#take(kept);
    else if (this.#draft.text !== this.#saved) this.#ask(kept);
    else {
      this.#take(kept);
      this.#say("torn", "This text was changed in another tab; here is " +
        "the newer one.");
    }
  }

  #ask(kept) {
    this.#torn = true;
    const mine = button("Keep this one", () => {
      this.#torn = false;
      this.#revision = store.read(this.#facts.id).revision;
      this.#say("torn");
      this.#save();
    });
    const theirs = button("Take the other one", () => {
      this.#say("torn");
      this.#take(store.read(this.#facts.id) ?? kept);
    });
    this.#say("torn", "Another tab has kept a different text for this " +
      "exercise. Nothing is overwritten until you choose.", mine, theirs);
  }

  #take(kept) {
    const text = kept.text ?? this.#facts.stub;
    this.#torn = false;
    this.#revision = kept.revision;
    this.#saved = text;
    this.#draft.text = text;
  }

  /** Go back to the stub; what was there can be brought back. */
  reset() {
    this.changed.flush();
    const { id, stub } = this.#facts;
    const before = this.#draft.text;
    if (before === stub) {
      this.#say("undo", "This is the stub already.");
      return;
    }
    this.#draft.text = stub;
    this.changed.flush();
    store.change(id, { before });
    this.#say("version");
    this.#offerUndo();
  }

  #offerUndo() {
    const undo = button("Undo the reset", () => {
      const { before } = store.read(this.#facts.id);
      if (before === undefined) return;
      this.#draft.text = before;
      this.changed.flush();
      store.change(this.#facts.id, { before: undefined });
      this.#say("undo");
    });
    this.#say("undo", "Your text was replaced by the stub.", undo);
  }

  /** All records of this browser were removed by a button of this page. */
  #forgotten() {
    const kept = store.read(this.#facts.id);
    if (kept.revision !== this.#revision) this.#take(kept);
  }

  #stubChanged() {
    const show = button("Show the new stub", () => {
      show.replaceWith(el("pre.live-new-stub", { tabindex: "0" },
        this.#facts.stub));
    });
    this.#say("version", "The stub of this exercise has changed since you " +
      "wrote this. Your text is as you left it.", show);
  }
}
