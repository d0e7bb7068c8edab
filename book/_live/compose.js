/**
 * Put together what Python runs: the reader's answer, before it the answers
 * to other questions that it calls, and behind it code that tries it out.
 */

const NOT_CODE = /"""[\s\S]*?"""|'''[\s\S]*?'''|#.*|"[^"\n]*"|'[^'\n]*'/g;

/** Tell if code mentions a name outside of strings and comments. */
export function mentions(code, name) {
  return new RegExp(`\\b${name}\\b`).test(code.replace(NOT_CODE, " "));
}

/**
 * @param {string} answer
 * @param {{title: string, function: string, text: string}[]} others
 *   answers of the same unit, in the order of the page
 * @param {string} [scratch]
 * @returns {{source: string, locate: (line: number) => {name: string,
 *   line: number}}}
 */
export function compose(answer, others, scratch = "") {
  const needed = [];
  const look = (code) => {
    for (const other of others) {
      if (!needed.includes(other) && mentions(code, other.function)) {
        needed.push(other);
        look(other.text);
      }
    }
  };
  look(`${answer}\n${scratch}`);
  const parts = [
    ...others
      .filter((each) => needed.includes(each))
      .map((each) => ({ name: each.title, text: each.text })),
    { name: "answer", text: answer },
  ];
  if (scratch) parts.push({ name: "scratch", text: scratch });
  return {
    source: parts.map((part) => part.text).join("\n"),
    locate: (line) => locate(parts, line),
  };
}

function locate(parts, line) {
  let left = line;
  for (const part of parts) {
    const count = part.text.split("\n").length;
    if (left <= count) return { name: part.name, line: left };
    left -= count;
  }
  return { name: parts.at(-1).name, line };
}
