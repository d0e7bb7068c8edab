/**
 * Search in the book. The index is asked for when a reader begins to search;
 * results are sections, and lead there from wherever the book lies.
 */

const root = new URL("../", import.meta.url);
const MOST = 7;
/** @type {Promise<any> | undefined} */
let engine;

/** Load pagefind once. */
function start() {
  engine ??= import(new URL("pagefind/pagefind.js", root).href).then(
    async (pagefind) => {
      await pagefind.options({ excerptLength: 22 });
      await pagefind.init();
      return pagefind;
    },
  );
  return engine;
}

/**
 * The sections for some words, best first, in two groups: chapters explain,
 * the library and its neighbours define. Who types a name of code wants that.
 * @param {string} words
 */
async function find(words) {
  const pagefind = await start();
  const groups = await Promise.all(
    [
      ["chapter", "In the chapters"],
      ["reference", "In the library and reference pages"],
    ].map(async ([kind, title]) => {
      const { results } = await pagefind.search(words, { filters: { kind } });
      const best = results.slice(0, MOST).map((each) => each.data());
      return { title, many: results.length, best: await Promise.all(best) };
    }),
  );
  return /[_.(]/.test(words) ? groups.reverse() : groups;
}

/** A group's results under its title, if there are any. */
function group({ title, best }) {
  if (!best.length) return [];
  const item = document.createElement("li");
  item.className = "find-group";
  item.textContent = title;
  return [item, ...best.map(shown)];
}

/** One result as a link with its chapter and the words around the hit. */
function shown(result) {
  const link = document.createElement("a");
  link.href = new URL(result.meta.place, root).href;
  const title = document.createElement("span");
  title.className = "find-title";
  title.textContent = result.meta.title;
  const page = document.createElement("span");
  page.className = "find-page";
  page.textContent =
    result.meta.page === result.meta.title ? "" : result.meta.page;
  const text = document.createElement("span");
  text.className = "find-text";
  // Pagefind escapes the text, and marks what was found in it.
  text.innerHTML = result.excerpt;
  link.append(title, " ", page, text);
  const item = document.createElement("li");
  item.append(link);
  return item;
}

/**
 * Join a field to a list of results and a line that counts them.
 * @param {{input: HTMLInputElement, list: HTMLElement, status: HTMLElement}} at
 */
function attach({ input, list, status }) {
  let turn = 0;
  const search = async () => {
    const words = input.value.trim();
    const mine = ++turn;
    if (!words) {
      list.replaceChildren();
      status.textContent = "";
      return;
    }
    try {
      const groups = await find(words);
      if (mine !== turn) return;
      list.replaceChildren(...groups.flatMap(group));
      status.textContent = told(groups);
    } catch {
      status.textContent = "The search index could not be loaded.";
    }
  };
  let waiting = 0;
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, 120);
  });
  input.addEventListener("focus", () => void start().catch(() => {}));
  if (input.value) void search();
}

/** How much was found, in words. */
function told(groups) {
  const many = groups.reduce((sum, each) => sum + each.many, 0);
  const here = groups.reduce((sum, each) => sum + each.best.length, 0);
  if (!many) return "Nothing found.";
  if (many === 1) return "One section.";
  return here < many
    ? `The best ${here} of ${many} sections.`
    : `${many} sections.`;
}

/** Move among the results with the arrow keys; Enter opens the first. */
function steer(box, input) {
  box.addEventListener("keydown", (event) => {
    const links = [...box.querySelectorAll(".find-results a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (!links.length) return;
      event.preventDefault();
      const next = at + (event.key === "ArrowDown" ? 1 : -1);
      (next < 0 ? input : links[Math.min(next, links.length - 1)]).focus();
    } else if (event.key === "Enter" && event.target === input && links[0]) {
      event.preventDefault();
      links[0].click();
    }
  });
}

const dialog = document.querySelector("dialog.find");
if (dialog) {
  const input = dialog.querySelector("input");
  const list = dialog.querySelector(".find-results");
  attach({ input, list, status: dialog.querySelector(".find-status") });
  steer(dialog, input);
  // A result on this page changes the place without leaving it.
  list.addEventListener("click", () => dialog.close());
}

const page = document.querySelector(".bd-search-container");
if (page) {
  const input = page.querySelector("input");
  input.value = new URLSearchParams(location.search).get("q") ?? "";
  const status = document.createElement("p");
  status.className = "find-status";
  status.role = "status";
  const list = document.createElement("ol");
  list.className = "find-results";
  page.querySelector("#search-results").replaceWith(status, list);
  attach({ input, list, status });
  steer(page, input);
}
