// What `test_access.py` runs in a page: axe-core, all its rules in the light
// theme, and those about colour in both.
//
// Whether a text can be read depends on its colours, its size and its ground,
// not on where it stands. So of all texts that are alike in these a few are
// asked. Of neighbours that are built alike, such as rows or the words of a
// listing, two stay. The long version asks everything.
async ({ tags, everything }) => {
  const COLOUR = ["color-contrast", "link-in-text-block"];
  const THEMES = ["light", "dark"];
  const ALIKE = 2;

  function ground(element, known) {
    if (!element) return "";
    if (!known.has(element)) {
      const { backgroundColor, backgroundImage, opacity }
        = getComputedStyle(element);
      const own = [backgroundColor, backgroundImage, opacity].join(" ");
      const clear = own === "rgba(0, 0, 0, 0) none 1";
      const above = ground(element.parentElement, known);
      known.set(element, clear ? above : `${own} on ${above}`);
    }
    return known.get(element);
  }

  function hasText(element) {
    return Array.from(element.childNodes).some(
      (node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  }

  function markSample() {
    const known = new Map();
    const alike = new Map();
    for (const element of document.body.querySelectorAll("*")) {
      if (!hasText(element) || !element.checkVisibility()) continue;
      const { color, fontSize, fontWeight, textDecorationLine }
        = getComputedStyle(element);
      const kind = [color, fontSize, fontWeight, textDecorationLine,
        element.localName, element.closest("p, li, td, nav, pre")?.localName,
        ground(element, known)].join("; ");
      const count = alike.get(kind) ?? 0;
      alike.set(kind, count + 1);
      if (count < ALIKE) element.setAttribute("data-sample", "");
    }
  }

  // A number for each way in which an element can be built, texts aside.
  function shapeOf(element, known, shapes) {
    const values = ["class", "role", "type", "tabindex"].map(
      (name) => element.getAttribute(name));
    // How many there are of a kind does not matter, nor in which order.
    const inside = Array.from(new Set(Array.from(element.children,
      (child) => shapeOf(child, known, shapes)))).sort();
    const isFormula = element.localName === "mjx-container";
    const shape = [element.localName, element.getAttributeNames(), values,
      hasText(element), isFormula || inside].join(";");
    if (!known.has(shape)) known.set(shape, known.size);
    shapes.set(element, known.get(shape));
    return known.get(shape);
  }

  function thinOut() {
    document.querySelectorAll("figure.course-figure svg *").forEach((part) => {
      if (!["title", "desc"].includes(part.localName)) part.remove();
    });
    // A formula becomes a box of its size, for it may be wider than the page.
    for (const inside of document.querySelectorAll("mjx-math")) {
      const { width, height } = inside.getBoundingClientRect();
      inside.replaceChildren();
      Object.assign(inside.style, { display: "inline-block",
        width: `${width}px`, height: `${height}px` });
    }
    document.querySelectorAll("mjx-assistive-mml > math").forEach(
      (formula) => formula.replaceChildren());
    const shapes = new Map();
    shapeOf(document.body, new Map(), shapes);
    const needed = new Set();
    for (const name of ["aria-labelledby", "aria-describedby", "for"]) {
      document.querySelectorAll(`[${name}]`).forEach((element) => {
        element.getAttribute(name).split(/\s+/).forEach((id) => {
          for (let it = document.getElementById(id); it;
            it = it.parentElement) needed.add(it);
        });
      });
    }
    for (const element of shapes.keys()) {
      const alike = new Map();
      for (const child of Array.from(element.children)) {
        const count = alike.get(shapes.get(child)) ?? 0;
        alike.set(shapes.get(child), count + 1);
        if (count >= ALIKE && !needed.has(child)) child.remove();
      }
    }
  }

  async function run(context, runOnly, rules = {}) {
    const { violations } = await axe.run(
      context, { runOnly, rules, resultTypes: ["violations"] });
    return violations.flatMap(({ id, nodes }) => nodes.map(
      ({ target, html, failureSummary }) => [id, target.join(" "),
        html.slice(0, 120), failureSummary.replace(/\s+/g, " ")].join(" | ")));
  }

  function wear(theme) {
    document.documentElement.dataset.theme = theme;
  }

  if (!everything) {
    for (const theme of THEMES) {
      wear(theme);
      markSample();
    }
    thinOut();
  }
  wear(THEMES[0]);
  const off = Object.fromEntries(COLOUR.map((id) => [id, {enabled: false}]));
  const found = await run(document, { type: "tag", values: tags }, off);
  const texts = everything ? document : { include: ["[data-sample]"] };
  for (const theme of THEMES) {
    wear(theme);
    const said = await run(texts, { type: "rule", values: COLOUR });
    found.push(...said.map((each) => `${theme}: ${each}`));
  }
  return found;
}
