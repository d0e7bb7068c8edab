/**
 * An editor in the page: CodeMirror, loaded when it is first needed, or a
 * plain text area where CodeMirror is not there.
 *
 * Tab indents. Escape, then Tab, leaves: nobody is caught in an editor.
 */

import { el } from "./dom.js";

/**
 * @typedef {Object} Options
 * @property {string} text
 * @property {string} label what the editor is, for screen readers
 * @property {string} describedby id of the text on its keys
 * @property {() => void} onchange
 * @property {() => void} oncheck
 * @property {() => void} onrun
 *
 * @typedef {Object} Editor
 * @property {() => string} text
 * @property {(text: string) => void} setText
 * @property {(line?: number) => void} focus
 * @property {(line: number|null) => void} mark
 */

/** @type {Promise<any>|null} */
let loading = null;

/**
 * @param {HTMLElement} host
 * @param {Options} options
 * @returns {Promise<Editor>}
 */
export async function openEditor(host, options) {
  loading ??= import("./codemirror.js").catch(() => null);
  const kit = await loading;
  return kit ? withCodeMirror(kit, host, options) : plain(host, options);
}

function withCodeMirror(kit, host, options) {
  const { EditorState, EditorView, keymap } = kit;
  const [marks, setMark] = lineMarks(kit);
  const done = (call) => () => (call(), true);
  const view = new EditorView({
    parent: host,
    state: EditorState.create({
      doc: options.text,
      extensions: [
        keymap.of([
          { key: "Mod-Enter", run: done(options.oncheck) },
          { key: "Shift-Enter", run: done(options.onrun) },
        ]),
        kit.basicSetup,
        kit.python(),
        kit.indentUnit.of("    "),
        EditorState.tabSize.of(4),
        kit.syntaxHighlighting(colours(kit)),
        marks,
        // Behind the others: Escape closes their menus first.
        keymap.of([
          kit.indentWithTab,
          { key: "Escape", run: (it) => (it.setTabFocusMode(true), true) },
        ]),
        EditorView.contentAttributes.of({
          "aria-label": options.label,
          "aria-describedby": options.describedby,
          // It can be focused anyway, but not every checker knows.
          tabindex: "0",
        }),
        EditorView.updateListener.of((update) => {
          const gone = update.focusChanged && !update.view.hasFocus;
          if (update.docChanged || gone) update.view.setTabFocusMode(false);
          if (update.docChanged) options.onchange();
        }),
      ],
    }),
  });
  const lineAt = (number) =>
    view.state.doc.line(Math.min(Math.max(number, 1), view.state.doc.lines));
  return {
    text: () => view.state.doc.toString(),
    setText: (text) =>
      view.dispatch({
        changes: { from: 0, to: view.state.doc.length, insert: text },
      }),
    focus: (line) => {
      view.focus();
      if (!line) return;
      const { to } = lineAt(line);
      view.dispatch({ selection: { anchor: to }, scrollIntoView: true });
    },
    mark: (line) =>
      view.dispatch({ effects: setMark.of(line && lineAt(line).from) }),
  };
}

/** Return a field that marks one line, and the effect that sets it. */
function lineMarks({ StateField, StateEffect, Decoration, EditorView }) {
  const set = StateEffect.define();
  const style = Decoration.line({ class: "live-error-line" });
  const field = StateField.define({
    create: () => Decoration.none,
    update(value, change) {
      let now = value.map(change.changes);
      for (const effect of change.effects) {
        if (!effect.is(set)) continue;
        now = effect.value === null
          ? Decoration.none
          : Decoration.set([style.range(effect.value)]);
      }
      return now;
    },
    provide: (it) => EditorView.decorations.from(it),
  });
  return [field, set];
}

/** Give pieces of code the classes that live.css colours. */
function colours({ HighlightStyle, tags: t }) {
  return HighlightStyle.define([
    { tag: t.comment, class: "live-code-comment" },
    { tag: [t.keyword, t.operatorKeyword], class: "live-code-keyword" },
    { tag: [t.string, t.docString], class: "live-code-string" },
    { tag: [t.number, t.bool, t.null], class: "live-code-number" },
    {
      tag: [t.function(t.definition(t.variableName)),
        t.definition(t.className)],
      class: "live-code-name",
    },
    { tag: t.operator, class: "live-code-operator" },
  ]);
}

/** The same with what every browser has. */
function plain(host, options) {
  const area = el("textarea.live-plain", {
    "aria-label": options.label,
    "aria-describedby": options.describedby,
    spellcheck: "false",
    autocapitalize: "off",
    autocomplete: "off",
    wrap: "off",
  });
  let leaving = false;
  const fit = () => {
    area.rows = Math.max(3, area.value.split("\n").length + 1);
  };
  const changed = () => {
    leaving = false;
    fit();
    options.onchange();
  };
  area.value = options.text;
  area.addEventListener("input", changed);
  area.addEventListener("blur", () => (leaving = false));
  area.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leaving = true;
    else if (event.key === "Tab" && !leaving && !event.shiftKey) {
      event.preventDefault();
      area.setRangeText("    ", area.selectionStart, area.selectionEnd, "end");
      changed();
    } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      options.oncheck();
    } else if (event.key === "Enter" && event.shiftKey) {
      event.preventDefault();
      options.onrun();
    }
  });
  fit();
  host.append(area);
  const select = (line) => {
    const lines = area.value.split("\n");
    const start = lines.slice(0, line - 1).join("\n").length + (line > 1);
    area.setSelectionRange(start, start + (lines[line - 1] ?? "").length);
  };
  return {
    text: () => area.value,
    setText: (text) => {
      area.value = text;
      changed();
    },
    focus: (line) => {
      area.focus();
      if (line) select(line);
    },
    // A text area marks a line by selecting it.
    mark: (line) => line && select(line),
  };
}
