/** Workers that the browser itself keeps from every network. */

/** Scripts from memory only, no code from text, no connections. */
const POLICY = "default-src 'none'; script-src blob: 'wasm-unsafe-eval'";

let frame = null;

/**
 * Return a worker that runs `script` under the policy.
 *
 * A worker made of a blob lives under the policy of the document that made
 * the blob, so an empty document with the policy makes it.
 * @param {Blob} script
 * @returns {Promise<Worker>}
 */
export async function confined(script) {
  frame ??= emptyFrame();
  const { URL, Worker } = await frame;
  const address = URL.createObjectURL(script);
  return new Worker(address);
}

function emptyFrame() {
  const element = document.createElement("iframe");
  element.hidden = true;
  element.title = "Where Python runs";
  element.srcdoc =
    `<!doctype html><meta http-equiv="Content-Security-Policy" ` +
    `content="${POLICY}"><title>Python</title>`;
  return new Promise((resolve) => {
    element.onload = () => resolve(element.contentWindow);
    document.body.append(element);
  });
}
