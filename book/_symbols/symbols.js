/* What a letter in a formula means: shown where one points at it, touches it
   or reaches it by keyboard. The text comes from the notation page.

   A classic script, unlike the others of this book: browsers load no modules
   from file://, and a page may be read there. */
(() => {
  "use strict";

  /** @typedef {{letter: string, colour: ?string, sub: ?string}} Symbol */
  /** @typedef {{shown: string, says: string, shape?: string,
        units?: string[], derivative?: boolean, symbols: Symbol[]}} Row */

  /** @type {Row[]} */
  const NOTATION = /* NOTATION */ [];
  const UNIT = document.currentScript.dataset.unit;
  const COLOURS = ["query", "key", "value", "output"];
  const GRACE_MS = 300; // to move from the letter to its explanation
  const REACH_PX = 24; // a finger is wider than a letter

  /** The characters that a part of a formula shows.
   * @param {Element} part */
  function textOf(part) {
    const glyphs = part.localName === "mjx-c"
      ? [part] : part.querySelectorAll("mjx-c");
    return Array.from(glyphs, (glyph) => {
      const code = /(?:^| )mjx-c([0-9A-F]+)(?: |$)/.exec(glyph.className);
      return code ? String.fromCodePoint(parseInt(code[1], 16)) : "";
    }).join("").normalize("NFKC");
  }

  /** Whether a letter only counts: a subscript, or below a sum.
   * @param {Element} letter */
  function isIndex(letter) {
    if (letter.closest("mjx-under")) return true;
    let part = letter;
    while (part && part.localName !== "mjx-math") {
      const script = part.parentElement;
      if (script?.localName === "mjx-script") {
        const kind = script.parentElement.localName;
        const last = script.lastElementChild === part;
        if (kind === "mjx-msub" || (kind === "mjx-msubsup" && last)) {
          return true;
        }
      }
      part = part.parentElement;
    }
    return false;
  }

  /** The largest part of a formula that begins with a letter, and is but
   * that letter with its scripts.
   * @param {Element} letter */
  function whole(letter) {
    let part = letter;
    for (;;) {
      const above = part.parentElement;
      const wraps = ["mjx-texatom", "mjx-msub", "mjx-msubsup", "mjx-msup"];
      const first = above.firstElementChild === part;
      if (!first || !wraps.includes(above.localName)) return part;
      if (above.localName === "mjx-texatom" && above.children.length > 1) {
        return part;
      }
      part = above;
    }
  }

  /** The subscript of a letter.
   * @param {Element} letter */
  function subscriptOf(letter) {
    let part = letter;
    const end = whole(letter);
    while (part !== end) {
      part = part.parentElement;
      const script = part.querySelector(":scope > mjx-script");
      if (part.localName === "mjx-msub") return textOf(script);
      if (part.localName === "mjx-msubsup") {
        return textOf(script.lastElementChild);
      }
    }
    return "";
  }

  /** What the notation says of a letter, if it says anything.
   * @param {Element} letter an mjx-mi
   * @returns {?{row: Row, part: Element}} */
  function meaning(letter) {
    if (!UNIT || isIndex(letter)) return null;
    const text = textOf(letter);
    const colour = COLOURS.find(
      (each) => letter.closest(`.course-${each}`)) ?? null;
    const part = whole(letter);
    const sub = subscriptOf(letter);
    const fits = (row) => row.symbols.some((symbol) =>
      symbol.letter === text && symbol.colour === colour
      && (symbol.sub === null || symbol.sub === sub));
    const row = NOTATION.find(
      (each) => (!each.units || each.units.includes(UNIT)) && fits(each));
    const before = part.previousElementSibling;
    const isMatrix = row && /^[A-Z]$/.test(text) && !row.units;
    if (isMatrix && before?.localName === "mjx-mi"
        && textOf(before) === "d") {
      const change = NOTATION.find((each) => each.derivative);
      return change ? { row: change, part } : null;
    }
    return row ? { row, part } : null;
  }

  /** The letters of a formula that mean something, in reading order.
   * @param {Element} formula */
  function lettersOf(formula) {
    return Array.from(formula.querySelectorAll("mjx-math mjx-mi"))
      .filter((letter) => meaning(letter));
  }

  // The explanation, and what a screen reader is told of it.

  const box = document.createElement("div");
  box.className = "course-symbol-box";
  box.id = "course-symbol-box";
  box.setAttribute("role", "tooltip");
  box.hidden = true;
  const told = document.createElement("div");
  told.className = "course-symbol-told";
  told.setAttribute("aria-live", "polite");
  const hint = document.createElement("div");
  hint.id = "course-symbol-hint";
  hint.hidden = true;
  hint.textContent = "Arrow keys walk through the letters of the formulas.";

  /** @type {?Element} */
  let current = null;
  let timer = 0;

  function hide() {
    clearTimeout(timer);
    current?.classList.remove("course-symbol-now");
    current = null;
    box.hidden = true;
    told.textContent = "";
  }

  function hideSoon() {
    clearTimeout(timer);
    timer = setTimeout(hide, GRACE_MS);
  }

  /** Put the explanation below a letter, within the window; or below the
   * formula, to keep it in sight where no mouse must come over.
   * @param {Element} part @param {boolean} apart */
  function place(part, apart) {
    const at = part.getBoundingClientRect();
    const around = (apart ? part.closest("mjx-container") : part)
      .getBoundingClientRect();
    const room = document.documentElement.clientWidth - box.offsetWidth - 8;
    const left = Math.max(8, Math.min(at.left - 12, room));
    const below = around.bottom + 8;
    const fits = below + box.offsetHeight < window.innerHeight;
    const top = fits ? below : Math.max(8, around.top - box.offsetHeight - 8);
    box.style.left = `${left + window.scrollX}px`;
    box.style.top = `${top + window.scrollY}px`;
  }

  /** @param {Element} letter
   * @param {{aloud?: boolean, apart?: boolean}} how */
  function show(letter, { aloud = false, apart = aloud } = {}) {
    const found = meaning(letter);
    if (!found) return;
    clearTimeout(timer);
    if (current === found.part && !box.hidden) return;
    hide();
    current = found.part;
    current.classList.add("course-symbol-now");
    const { shown, says, shape } = found.row;
    box.innerHTML = `<p><span class="course-symbol-name">${shown}</span> `
      + `${says}</p>` + (shape ? `<p><span>Shape:</span> ${shape}</p>` : "");
    box.hidden = false;
    place(current, apart);
    if (aloud) told.textContent = box.textContent;
  }

  // Mouse.

  const letterAt = (target) => target.closest?.("mjx-container mjx-mi");

  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const letter = letterAt(event.target);
    if (letter && meaning(letter)) show(letter);
    else if (box.contains(event.target)) clearTimeout(timer);
    else if (!box.hidden && !document.activeElement?.matches(
      "mjx-container:focus-visible")) hideSoon();
  });

  // Touch: the nearest letter of the formula, within a finger's reach.

  function nearest(formula, x, y) {
    const away = (letter) => {
      const at = letter.getBoundingClientRect();
      return Math.hypot(x - (at.left + at.right) / 2,
        y - (at.top + at.bottom) / 2);
    };
    const letters = lettersOf(formula)
      .sort((one, other) => away(one) - away(other));
    return letters.length && away(letters[0]) <= REACH_PX ? letters[0] : null;
  }

  document.addEventListener("click", (event) => {
    const formula = event.target.closest?.("mjx-container");
    const letter = formula && nearest(formula, event.clientX, event.clientY);
    if (letter) show(letter, { apart: true });
    else if (!box.contains(event.target)) hide();
  });

  // Keyboard: a formula is a stop, and arrows walk through the letters.

  const formulas = () => Array.from(
    document.querySelectorAll(".bd-article mjx-container"));

  /** The letter to walk to; it may be in a neighbouring formula.
   * @param {Element} formula @param {number} step 1 or -1 */
  function next(formula, step) {
    const letters = lettersOf(formula);
    const now = letters.findIndex(
      (each) => meaning(each).part === current);
    const here = letters[now + step];
    if (now >= 0 && here) return here;
    const all = formulas();
    for (let at = all.indexOf(formula) + step; all[at]; at += step) {
      const there = lettersOf(all[at]);
      if (there.length) return there.at(step > 0 ? 0 : -1);
    }
    return null;
  }

  function walkTo(letter) {
    const formula = letter.closest("mjx-container");
    if (document.activeElement !== formula) formula.focus();
    letter.scrollIntoView({ block: "nearest", inline: "nearest" });
    show(letter, { aloud: true });
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !box.hidden) {
      hide();
      return;
    }
    const formula = event.target.closest?.("mjx-container");
    const plain = !event.ctrlKey && !event.altKey && !event.metaKey;
    if (!formula || event.target !== formula || !plain) return;
    const letters = lettersOf(formula);
    const goal = {
      ArrowRight: () => next(formula, 1),
      ArrowLeft: () => next(formula, -1),
      Home: () => letters[0],
      End: () => letters.at(-1),
    }[event.key]?.();
    if (!goal) return;
    event.preventDefault();
    walkTo(goal);
  });

  document.addEventListener("focusin", (event) => {
    const formula = event.target.closest?.("mjx-container");
    if (!formula || !formula.matches(":focus-visible")) return;
    const first = lettersOf(formula)[0];
    if (first) show(first, { aloud: true });
  });
  document.addEventListener("focusout", (event) => {
    if (event.target.closest?.("mjx-container")) hideSoon();
  });

  // One stop for each formula on a line of its own, and one for the first
  // in the text of each section; arrows reach the others from there. A formula
  // that is wider than the page is a stop, too, so that arrows can scroll it.

  function addStops() {
    const begun = new Set();
    for (const formula of formulas()) {
      const section = formula.closest("section");
      const known = lettersOf(formula).length > 0;
      const isFirst = known && !begun.has(section);
      const isWide = formula.scrollWidth > formula.clientWidth;
      const isDisplayed = formula.matches("[display=true]");
      const isStop = isFirst || (isDisplayed && (known || isWide));
      if (isFirst) begun.add(section);
      if (isStop || known) formula.tabIndex = isStop ? 0 : -1;
      else formula.removeAttribute("tabindex");
      if (!isStop) continue;
      formula.setAttribute("role", "group");
      formula.setAttribute("aria-label", "formula");
      if (known) formula.setAttribute("aria-describedby", hint.id);
    }
  }

  async function start() {
    document.body.append(box, told, hint);
    // The script that typesets is loaded beside this one.
    while (!window.MathJax?.startup?.promise) {
      await new Promise((wake) => setTimeout(wake, 100));
    }
    await window.MathJax.startup.promise;
    addStops();
    let waiting = 0;
    window.addEventListener("resize", () => {
      clearTimeout(waiting);
      waiting = setTimeout(addStops, GRACE_MS);
    });
    document.documentElement.dataset.symbols = "ready";
  }

  if (NOTATION.length) start();
})();
