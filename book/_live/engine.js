/**
 * The page's way to Python: one engine, started when it is first needed.
 *
 * Python runs in a worker of its own, so a page never waits for it. Requests
 * queue; one that takes too long is ended together with its worker, and a
 * new one takes its place.
 */

import { Interpreter, Lost } from "./interpreter.js";
import { harmless } from "./picture.js";

/** How long one request may take, in milliseconds. */
const LIMIT = 10_000;

/** @typedef {"idle"|"loading"|"ready"|"busy"|"stopped"|"failed"} State */

/** What a page holds instead of Python. */
export class Engine {
  #limit;
  #start;
  #interpreter = null;
  #starting = null;
  #turn = Promise.resolve();
  #listeners = new Set();
  #state = { name: "idle", fraction: 0, says: "" };
  #halt = null;
  #generation = 0;

  /**
   * @param {object} options
   * @param {number} options.limit longest time of a request, in milliseconds
   * @param {(told: (fraction: number) => void) => Promise<Interpreter>}
   *   options.start makes an interpreter
   */
  constructor({ limit = LIMIT, start = Interpreter.start } = {}) {
    this.#limit = limit;
    this.#start = start;
  }

  /** The state now: `name`, `fraction` loaded from 0 to 1, `says`. */
  get state() {
    return this.#state;
  }

  /**
   * Tell `listener` the state, now and whenever it changes.
   * @param {(name: State, fraction: number, says: string) => void} listener
   * @returns {() => void} ends it
   */
  onstate(listener) {
    this.#listeners.add(listener);
    const { name, fraction, says } = this.#state;
    listener(name, fraction, says);
    return () => this.#listeners.delete(listener);
  }

  /** Start Python, unless it is there; resolves when it is. */
  ready() {
    if (this.#interpreter) {
      return Promise.resolve();
    }
    this.#starting ??= this.#begin();
    return this.#starting;
  }

  /**
   * Examine an answer.
   * @param {string} questionId such as "dense.attend"
   * @param {string} source the reader's text
   * @returns {Promise<object>} a verdict; see `attncourse.live`
   */
  async check(questionId, source) {
    const request = { what: "check", questionId, source };
    const verdict = await this.#queue(request, (end) => end);
    return { ...verdict, picture: harmless(verdict.picture) };
  }

  /**
   * Run the reader's text.
   * @param {string} source
   * @param {{questionId?: string}} options
   * @returns {Promise<object>} `{output, value, error, cut}`
   */
  run(source, { questionId = null } = {}) {
    return this.#queue({ what: "run", questionId, source }, (end) => ({
      ...{ output: "", value: "", cut: false },
      error: { name: NAMES[end.verdict], message: end.says, line: null },
      why: end.why,
    }));
  }

  /** End what runs and what waits; Python starts again by itself. */
  stop() {
    this.#generation += 1;
    if (this.#halt) {
      this.#halt(stopped());
    } else if (this.#interpreter) {
      this.#renew();
    }
  }

  async #begin() {
    let loading = true;
    const told = (fraction) => loading && this.#tell("loading", fraction);
    told(0);
    try {
      this.#interpreter = await this.#start(told);
      loading = false;
      this.#tell("ready", 1);
    } catch (error) {
      loading = false;
      this.#tell("failed", 0, error.message);
      throw error;
    } finally {
      this.#starting = null;
    }
  }

  /** Let a request wait for its turn; `told` words an early end for it. */
  #queue(request, told) {
    const generation = this.#generation;
    const answer = this.#turn.then(async () => {
      if (generation !== this.#generation) {
        return told(stopped());
      }
      await this.ready();
      if (generation !== this.#generation) {
        return told(stopped());
      }
      this.#tell("busy", 1);
      const [end, value] = await this.#ask(request);
      return end ? told(end) : value;
    });
    this.#turn = answer.catch(() => {});
    return answer;
  }

  /** Return `[null, answer]`, or `[why it ended early]`. */
  async #ask(request) {
    let timer;
    const early = new Promise((resolve) => {
      this.#halt = resolve;
      timer = setTimeout(() => resolve(timeout(this.#limit)), this.#limit);
    });
    const answered = this.#interpreter.ask(request).then(
      (value) => [null, value],
      (error) => {
        if (error instanceof Lost) {
          return [lost(error.message)];
        }
        throw error;
      },
    );
    try {
      const result = await Promise.race([
        answered,
        early.then((end) => [end]),
      ]);
      if (result[0] === null) {
        this.#tell("ready", 1);
      } else {
        this.#renew();
      }
      return result;
    } finally {
      clearTimeout(timer);
      this.#halt = null;
    }
  }

  #renew() {
    this.#interpreter.end();
    this.#interpreter = null;
    this.#tell("stopped");
    // Whoever asks next hears of a failure.
    this.ready().catch(() => {});
  }

  #tell(name, fraction = 0, says = "") {
    this.#state = { name, fraction, says };
    for (const listener of this.#listeners) {
      listener(name, fraction, says);
    }
  }
}

const NAMES = { timeout: "TimeoutError", lost: "Lost", stopped: "Stopped" };

const ending = (verdict, says) => ({
  ...{ verdict, says, points: 0, max_points: null, title: "", stages: [] },
  ...{ diagnosis: [], error: null, notes: [], said: [says], output: "" },
  ...{ cut: false, picture: "" },
});

const timeout = (limit) =>
  ending(
    "timeout",
    `It was stopped after ${limit / 1000} seconds. Does a loop never end?`,
  );

const lost = (why) => ({
  ...ending(
    "lost",
    "Python itself broke down while your text ran, and starts again. " +
      "Nothing that you wrote is lost.",
  ),
  why,
});

const stopped = () => ending("stopped", "It was stopped.");

/** The one engine of a page. */
export const engine = new Engine();
