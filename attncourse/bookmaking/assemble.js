/**
 * Runs in a page of the built book: puts all pages into this one, in the
 * order of the contents, with links that stay inside.
 */
async (pages) => {
  const slug = (path) => path.replace(/\.html$/, "").replace(/\W+/g, "-");
  const known = new Map(pages.map((path) => [path, slug(path)]));
  const root = new URL(document.documentElement.dataset.content_root ?? "./", location.href);
  const styles = new Set(
    [...document.querySelectorAll("link[rel=stylesheet]")].map((each) => each.href),
  );

  /** Where a link of `path` leads in the book that is made, or nowhere. */
  function inside(href, path) {
    const url = new URL(href, new URL(path, root));
    if (url.origin !== root.origin) return href;
    const target = url.pathname.slice(root.pathname.length);
    if (!known.has(target)) return null;
    const place = decodeURIComponent(url.hash.slice(1));
    return `#${known.get(target)}${place ? `--${place}` : ""}`;
  }

  async function chapter(path) {
    const text = await (await fetch(new URL(path, root))).text();
    const page = new DOMParser().parseFromString(text, "text/html");
    for (const link of page.querySelectorAll("link[rel=stylesheet]")) {
      const href = new URL(link.getAttribute("href"), new URL(path, root)).href;
      if (styles.has(href)) continue;
      styles.add(href);
      const copy = document.createElement("link");
      copy.rel = "stylesheet";
      copy.href = href;
      document.head.append(copy);
    }
    const article = page.querySelector("article.bd-article");
    for (const each of article.querySelectorAll("script, .headerlink, .copybtn")) each.remove();
    for (const each of article.querySelectorAll("details")) each.open = true;
    for (const each of article.querySelectorAll("[id]")) {
      // A drawing's parts have names of their own already.
      if (!each.closest("svg")) each.id = `${known.get(path)}--${each.id}`;
    }
    for (const link of article.querySelectorAll("a[href]")) {
      const to = inside(link.getAttribute("href"), path);
      if (to === null) link.removeAttribute("href");
      else link.setAttribute("href", to);
    }
    for (const image of article.querySelectorAll("img[src]")) {
      image.src = new URL(image.getAttribute("src"), new URL(path, root)).href;
    }
    article.id = known.get(path);
    return document.importNode(article, true);
  }

  const book = document.createElement("main");
  book.className = "whole-book bd-content";
  for (const path of pages) book.append(await chapter(path));

  const contents = document.createElement("nav");
  contents.className = "whole-contents";
  const heading = document.createElement("h1");
  heading.textContent = "Contents";
  const list = document.createElement("ol");
  for (const article of book.children) {
    for (const title of article.querySelectorAll("h1, section > h2")) {
      const section = title.closest("section");
      if (!section?.id) continue;
      const line = document.createElement("li");
      line.className = `level-${title.localName}`;
      const link = document.createElement("a");
      link.href = `#${section.id}`;
      link.append(...[...title.childNodes].map((each) => each.cloneNode(true)));
      const number = document.createElement("span");
      number.className = "whole-number";
      number.textContent = "000";
      line.append(link, number);
      list.append(line);
    }
  }
  contents.append(heading, list);
  // The first page, with the course's name, stands before the contents.
  book.firstElementChild.after(contents);
  document.documentElement.dataset.theme = "light";
  document.body.replaceChildren(book);
  MathJax.typesetClear();
  await MathJax.typesetPromise([book]);
  await Promise.all([...document.images].map((each) => each.decode().catch(() => {})));
  await document.fonts.ready;
  return [...list.children].map((line) => ({
    level: line.className === "level-h1" ? 0 : 1,
    title: line.firstChild.textContent.trim(),
    place: line.firstChild.getAttribute("href").slice(1),
  }));
}
