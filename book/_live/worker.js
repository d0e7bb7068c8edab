/**
 * Python, in a worker: starts from the files it is handed, then answers
 * requests one by one. After the start nothing here can reach a network.
 */
"use strict";

(() => {
  /** What could carry a word away, or run more scripts. */
  const WAYS_OUT = [
    "fetch",
    "XMLHttpRequest",
    "WebSocket",
    "WebSocketStream",
    "WebTransport",
    "EventSource",
    "RTCPeerConnection",
    "Worker",
    "SharedWorker",
    "BroadcastChannel",
    "importScripts",
    "indexedDB",
    "caches",
    "cookieStore",
    "Notification",
    "eval",
    "Function",
  ];

  const KINDS = [
    () => 0,
    async () => 0,
    function* () {},
    async function* () {},
  ];

  /** Files are asked for below an address that there cannot be. */
  const NOWHERE = "https://files.invalid/";

  const SITE = "/lib/python3.11/site-packages";

  let answer = null;

  const nameOf = (address) => String(address).split("/").pop();

  /** Let what starts Python find each file that it asks for. */
  const lend = (files) => {
    const { fetch } = self;
    const { instantiateStreaming } = WebAssembly;
    self.fetch = async (address) => new Response(files.get(nameOf(address)));
    WebAssembly.instantiateStreaming = async (response, imports) => {
      const module = files.get("pyodide.asm.wasm");
      const instance = await WebAssembly.instantiate(module, imports);
      await response;
      return { instance, module };
    };
    return () => {
      self.fetch = fetch;
      WebAssembly.instantiateStreaming = instantiateStreaming;
    };
  };

  const runScript = (bytes) => {
    const address = URL.createObjectURL(new Blob([bytes]));
    importScripts(address);
    URL.revokeObjectURL(address);
  };

  /** Let timers call functions only, never run text. */
  const guard = (name) => {
    const plain = self[name];
    self[name] = (what, ...rest) =>
      typeof what === "function" ? plain(what, ...rest) : 0;
  };

  /** The list of packages that could be fetched, emptied. */
  const withoutPackages = (bytes) => {
    const listed = JSON.parse(new TextDecoder().decode(bytes));
    return JSON.stringify({ ...listed, packages: {} });
  };

  const start = async ({ files, archives }) => {
    const list = "pyodide-lock.json";
    files.set(list, withoutPackages(files.get(list)));
    guard("setTimeout");
    guard("setInterval");
    const takeBack = lend(files);
    runScript(files.get("pyodide.asm.js"));
    runScript(files.get("pyodide.js"));
    const silent = () => {};
    const python = await self.loadPyodide({
      indexURL: NOWHERE,
      stdin: () => null,
      stdout: silent,
      stderr: silent,
    });
    takeBack();
    for (const name of archives) {
      python.unpackArchive(files.get(name), "wheel", { extractDir: SITE });
    }
    answer = python.runPython(
      "from attncourse.live.page import answer; answer",
    );
    seal(python);
  };

  /** Close every way out, here and in Python. */
  const seal = (python) => {
    python.unregisterJsModule("js");
    python.unregisterJsModule("pyodide_js");
    python.runPython(
      "import sys; sys.modules.pop('js', 0); sys.modules.pop('pyodide_js', 0)",
    );
    for (const name of WAYS_OUT) {
      for (let at = self; at; at = Object.getPrototypeOf(at)) {
        delete at[name];
      }
    }
    // Any object leads to the functions that make code of text.
    for (const one of KINDS) {
      const kind = Object.getPrototypeOf(one);
      Object.defineProperty(kind, "constructor", { value: undefined });
    }
  };

  self.onmessage = async ({ data }) => {
    const { id, what, parts, ...request } = data;
    try {
      let value = null;
      if (what === "start") {
        await start(parts);
      } else {
        value = JSON.parse(answer(JSON.stringify({ what, ...request })));
      }
      self.postMessage({ id, value });
    } catch (error) {
      self.postMessage({ id, lost: String(error?.message ?? error) });
    }
  };
})();
