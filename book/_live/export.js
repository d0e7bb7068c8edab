/**
 * Put the reader's answers into a copy of the unit's notebook.
 *
 * Cells keep their ids and metadata, so that the copy is graded like any
 * other that a student hands in.
 */

import { stateOf, store } from "./store.js";

/**
 * Return a copy of a notebook with answers in it, and which were put there.
 * @param {object} notebook as read from its JSON
 * @param {{id: string, cell: string, stub: string}[]} exercises
 * @param {(id: string) => string|undefined} textOf
 */
export function filled(notebook, exercises, textOf) {
  const copy = structuredClone(notebook);
  const done = [];
  for (const exercise of exercises) {
    const text = textOf(exercise.id);
    if (text === undefined || text === exercise.stub) continue;
    const cell = copy.cells.find((each) => each.id === exercise.cell);
    if (!cell) continue;
    cell.source = lines(text.replace(/\s+$/, ""));
    done.push(exercise);
  }
  return { notebook: copy, done };
}

/** Split as notebooks do: each line keeps its end. */
function lines(text) {
  return text.split(/(?<=\n)/);
}

/**
 * Download the unit's notebook with the reader's answers.
 * @param {string} address of the empty notebook
 * @param {{id: string, cell: string, stub: string, title: string}[]} exercises
 * @returns {Promise<{done: object[], solved: object[]}>}
 */
export async function download(address, exercises) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`the notebook must be there: ${address}`);
  const { notebook, done } = filled(
    await answer.json(), exercises, (id) => store.read(id).text);
  const text = `${JSON.stringify(notebook, null, 1)}\n`;
  const file = new Blob([text], { type: "application/x-ipynb+json" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = decodeURIComponent(address.split("/").pop());
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  const solved = done.filter(
    ({ id, stub }) => stateOf(store.read(id), stub) === "solved");
  return { done, solved };
}
