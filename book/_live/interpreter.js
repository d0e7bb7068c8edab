/** One Python in one worker, and the files that it is made of. */

import { confined } from "./confine.js";

const HERE = new URL("./", import.meta.url);
const PATIENCE = 60_000;

/** The interpreter is gone; nothing more comes from it. */
export class Lost extends Error {}

/** Files are fetched once per page; a new worker gets the same ones. */
let fetched = null;

/** A running Python. */
export class Interpreter {
  #worker;
  #waiting = new Map();
  #count = 0;

  /**
   * Start one.
   * @param {(fraction: number) => void} told hears how much is loaded
   * @returns {Promise<Interpreter>}
   */
  static async start(told) {
    fetched ??= files(told);
    try {
      const parts = await fetched;
      const { script, ...rest } = parts;
      const interpreter = new Interpreter(await confined(script));
      await interpreter.#begin(rest);
      return interpreter;
    } catch (error) {
      fetched = null;
      throw error;
    }
  }

  /** @param {Worker} worker */
  constructor(worker) {
    this.#worker = worker;
    this.#worker.onmessage = ({ data }) => this.#hear(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#lose(event.message || "the worker broke down");
    };
    this.#worker.onmessageerror = () => this.#lose("an unreadable answer");
  }

  /** Send a request and return its answer; rejects with `Lost`. */
  ask(request) {
    return new Promise((resolve, reject) => {
      this.#count += 1;
      this.#waiting.set(this.#count, { resolve, reject });
      this.#worker.postMessage({ id: this.#count, ...request });
    });
  }

  /** End it, whatever it does. */
  end() {
    this.#worker.terminate();
    this.#lose("it was ended");
  }

  async #begin(parts) {
    const timer = setTimeout(() => this.end(), PATIENCE);
    try {
      await this.ask({ what: "start", parts });
    } catch (error) {
      this.end();
      throw new Error(`Python did not start: ${error.message}`);
    } finally {
      clearTimeout(timer);
    }
  }

  #hear({ id, value, lost }) {
    if (lost !== undefined) {
      this.#lose(lost);
    } else {
      this.#waiting.get(id)?.resolve(value);
      this.#waiting.delete(id);
    }
  }

  #lose(why) {
    for (const { reject } of this.#waiting.values()) {
      reject(new Lost(why));
    }
    this.#waiting.clear();
  }
}

/** Return the files by name; the interpreter's own one is compiled. */
async function files(told) {
  if (HERE.protocol === "file:") {
    throw new Error("Python runs in pages of a server, not of a folder");
  }
  const listed = await (await get("manifest.json", "no-cache")).json();
  const sizes = Object.entries(listed.files);
  const total = sizes.reduce((sum, [, size]) => sum + size, 0);
  let loaded = 0;
  const count = (bytes) => {
    loaded += bytes;
    told(Math.min(1, loaded / total));
  };
  const parts = await Promise.all(
    sizes.map(async ([path]) => {
      const response = counted(await get(path, "default"), count);
      const name = path.split("/").pop();
      return [
        name,
        name.endsWith(".wasm")
          ? await WebAssembly.compileStreaming(response)
          : await response.arrayBuffer(),
      ];
    }),
  );
  // A worker of what the page holds needs the server no more.
  const script = await (await get("worker.js", "no-cache")).blob();
  const { numpy, course } = listed;
  return {
    script,
    archives: [numpy, course],
    files: new Map(parts),
  };
}

async function get(path, cache) {
  let response;
  try {
    response = await fetch(new URL(path, HERE), { cache });
  } catch {
    throw new Error(`_live/${path} must be there: the server did not answer`);
  }
  if (!response.ok) {
    throw new Error(`_live/${path} must be there: got ${response.status}`);
  }
  return response;
}

/** Return a response that says how many bytes have come. */
function counted(response, count) {
  const meter = new TransformStream({
    transform(chunk, controller) {
      count(chunk.byteLength);
      controller.enqueue(chunk);
    },
  });
  const type = response.url.endsWith(".wasm") ? "application/wasm" : "";
  return new Response(response.body.pipeThrough(meter), {
    headers: type ? { "Content-Type": type } : {},
  });
}
