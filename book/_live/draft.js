/**
 * A piece of code that becomes an editor when it is touched.
 *
 * Until then it is the highlighted code that the page brought, or the text
 * that the reader left there.
 */

import { button, el } from "./dom.js";
import { openEditor } from "./editor.js";

export class Draft {
  #box;
  #editor = null;
  #opening = null;
  #options;
  #text;

  /**
   * @param {HTMLElement} box holds the highlighted code
   * @param {{text: string, label: string, describedby: string,
   *   onchange: () => void, onopen?: () => void, oncheck: () => void,
   *   onrun: () => void}} options
   */
  constructor(box, options) {
    this.#box = box;
    this.#options = options;
    this.#text = options.text;
    box.classList.add("live-draft");
    this.#show(options.text);
    box.addEventListener("click", (event) => {
      const busy = event.target.closest("button, a, .live-editor");
      // Somebody who marks a piece to copy it does not want an editor.
      if (!busy && getSelection().isCollapsed) this.open();
    });
    /** For those who do not click: put it where it fits. */
    this.opener = button("Write your answer", () => this.open());
  }

  #show(text) {
    const code = this.#box.querySelector("pre");
    if (!code) {
      const shown = el("div.highlight", {}, el("pre", {}, text));
      this.#box.append(shown);
    } else if (code.textContent.trimEnd() !== text.trimEnd()) {
      code.textContent = text;
    }
  }

  get text() {
    return this.#editor ? this.#editor.text() : this.#text;
  }

  /** Replace the whole text, opened or not. */
  set text(text) {
    if (text === this.text) return;
    if (this.#editor) {
      this.#editor.setText(text);
      return;
    }
    this.#text = text;
    this.#show(text);
    this.#options.onchange();
  }

  /** Open the editor, if it is not, and go there. */
  async open(line) {
    await this.#opened();
    this.#editor.focus(line);
  }

  #opened() {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  async #open() {
    const host = el("div.live-editor");
    const code = this.#box.querySelector(".highlight");
    this.#box.setAttribute("aria-busy", "true");
    const editor = await openEditor(host, {
      ...this.#options,
      text: this.#text,
    });
    this.#box.append(host);
    code.hidden = true;
    this.#box.removeAttribute("aria-busy");
    this.#box.classList.add("is-open");
    this.opener.hidden = true;
    this.#editor = editor;
    this.#options.onopen?.();
  }

  /** Mark a line as the one that failed; null takes the mark away. */
  async mark(line) {
    if (line) await this.#opened();
    this.#editor?.mark(line);
  }
}
