/**
 * What the reader has written, kept in this browser and nowhere else.
 *
 * One record for each question. Where the browser keeps nothing (storage
 * forbidden or full) the record lives as long as the page, and `trouble`
 * says so.
 */

const PREFIX = "attncourse.answer.";

/**
 * @typedef {Object} Kept
 * @property {string} [text] the answer, where it is not the stub
 * @property {string} [version] the stub that the answer started from
 * @property {string} [revision] changes with every change of the text
 * @property {string} [before] the text that Reset threw away
 * @property {string} [scratch] code that tries the answer out
 * @property {number} [hints] how many hints have been opened
 * @property {string} [right] the text that passed its check last
 */

const KINDS = {
  text: "string",
  version: "string",
  revision: "string",
  before: "string",
  scratch: "string",
  hints: "number",
  right: "string",
};

/** What of a record can have been written here. */
const sound = (found) =>
  Object.fromEntries(
    Object.entries(found ?? {}).filter(([key, value]) =>
      typeof value === KINDS[key]));

const fresh = () =>
  Date.now().toString(36) + Math.random().toString(36).slice(2, 8);

class Store {
  #memory = new Map();
  #listeners = new Set();
  /** Why records are not kept: "", "forbidden" or "full". */
  trouble = "";

  constructor() {
    addEventListener("storage", (event) => {
      // A null key: everything was removed at once.
      if (event.key === null) this.#tell(null, true);
      else if (event.key.startsWith(PREFIX)) {
        this.#tell(event.key.slice(PREFIX.length), true);
      }
    });
  }

  /** Call `listener(id, elsewhere)` on changes; a null id means all. */
  watch(listener) {
    this.#listeners.add(listener);
  }

  #tell(id, elsewhere) {
    for (const each of this.#listeners) each(id, elsewhere);
  }

  /** @returns {Kept} an empty record if nothing is kept */
  read(id) {
    if (this.#memory.has(id)) return { ...this.#memory.get(id) };
    try {
      return sound(JSON.parse(localStorage.getItem(PREFIX + id) ?? "{}"));
    } catch (error) {
      // What cannot be read as JSON was not written here.
      if (!(error instanceof SyntaxError)) this.trouble = "forbidden";
      return {};
    }
  }

  /** Merge changes into a record; undefined removes. */
  change(id, changes) {
    const kept = { ...this.read(id), ...changes };
    try {
      localStorage.setItem(PREFIX + id, JSON.stringify(kept));
      this.#memory.delete(id);
      this.trouble = "";
    } catch (error) {
      this.trouble = error?.name === "QuotaExceededError"
        ? "full" : "forbidden";
      this.#memory.set(id, kept);
    }
    this.#tell(id, false);
    return kept;
  }

  /**
   * Keep a text, unless another tab has kept a different one meanwhile.
   * @param {string|undefined} seen the revision that this text grew from
   * @returns {{kept: Kept, conflict: boolean}}
   */
  keepText(id, text, version, seen) {
    const kept = this.read(id);
    if (kept.revision !== seen && kept.text !== text) {
      return { kept, conflict: true };
    }
    return {
      kept: this.change(id, { text, version, revision: fresh() }),
      conflict: false,
    };
  }

  /** Forget these questions; returns what undoes it. */
  forget(ids) {
    const were = ids.map((id) => [id, this.read(id)]);
    for (const id of ids) {
      this.#memory.delete(id);
      try {
        localStorage.removeItem(PREFIX + id);
      } catch {
        this.trouble = "forbidden";
      }
    }
    this.#tell(null, false);
    return () => were.forEach(([id, kept]) => this.change(id, kept));
  }
}

export const store = new Store();

/**
 * How far a reader is with a question: solved, if this very text passed.
 * @returns {"open"|"tried"|"solved"}
 */
export function stateOf(kept, stub) {
  if (kept.text === undefined || kept.text === stub) return "open";
  return kept.text === kept.right ? "solved" : "tried";
}

export const MARKS = {
  open: ["○", "open"],
  tried: ["◐", "tried"],
  solved: ["✓", "solved"],
};

/** What to say where nothing can be kept, or "". */
export function troubleText() {
  return {
    "": "",
    forbidden:
      "Your browser does not let this page keep your text. It stays as " +
      "long as this page is open; copy it before you leave.",
    full:
      "Your browser's store for this site is full, so your text stays only " +
      "as long as this page is open; copy it before you leave.",
  }[store.trouble];
}
