"""Python in the page: quick, hard to break, and silent to the outside."""

import json
import sys

import pytest
from course_answers import of_unit
from prose import BOOK

from attncourse import live, questions
from attncourse.checking.question import Question

sys.path.append(str(BOOK / "_ext"))
import live_assets
from live_fetch import Unavailable

pytestmark = pytest.mark.browser

UNSCALED = """\
def attend(q, k, v):
    print("I was here")
    scores = q @ k.swapaxes(-1, -2)
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    weights = powers / powers.sum(-1, keepdims=True)
    return weights @ v, weights
"""
# Breaks this Python's random numbers, and with them all of it.
FATAL = "np.random.default_rng(0).negative_binomial(3, 0.5, 4)"
# The same, past all that the worker itself has closed.
PROBE = """
const held = (promise) => promise.then(() => "out", () => "held");
(async () => {
  const text = () => new Function("return 1")();
  postMessage([
    await held(fetch(ADDRESS)),
    await held(import(ADDRESS)),
    await held((async () => importScripts(ADDRESS))()),
    await held((async () => text())()),
    await held(new Promise((open, fail) => {
      const socket = new WebSocket(ADDRESS.replace("http", "ws"));
      socket.onopen = open;
      socket.onerror = fail;
    })),
  ]);
})();
"""
# Tests that students wrote too strictly: they compare bits, and the last bit
# of a sum depends on the processor.
BITS = {"audit_too_strict", "test_for_bits", "test_bit_for_bit"}
POLICY = (
    "default-src 'none'; script-src 'self' blob: 'wasm-unsafe-eval'; "
    "connect-src 'self'; worker-src blob:"
)
# What a reader was talked into pasting might try.
WAYS_OUT = [
    "import js",
    "import pyodide_js",
    "from pyodide.code import run_js; run_js('fetch(\"/stolen\")')",
    "import pyodide.http as h; h.open_url('/stolen')",
    "from pyodide.ffi import to_js\n"
    "to_js([1]).constructor.constructor('return self')()",
    "import pyodide.webloop as w\n"
    "w.setTimeout('fetch(\"/stolen\")', 0)\nraise RuntimeError('asked')",
    "import urllib.request\nurllib.request.urlopen('http://127.0.0.1/stolen')",
    "import socket\nsocket.create_connection(('127.0.0.1', 80))",
    "import ctypes\nctypes.CDLL(None).emscripten_run_script(b'fetch(1)')",
]


@pytest.fixture(scope="session")
def packed():
    """Return the folder of the engine's files, or skip and say why."""
    try:
        return live_assets.prepare()
    except Unavailable as error:
        pytest.skip(f"live exercises need their files: {error}")


@pytest.fixture(scope="session")
def engine_site(packed, tmp_path_factory, serve):
    """Return the address of an empty page with the engine beside it."""
    folder = tmp_path_factory.mktemp("engine")
    live_assets.deliver(packed, folder / "_live")
    (folder / "_live" / "dom.js").write_text("export const here = true;")
    (folder / "index.html").write_text(
        '<!doctype html><html lang="en"><meta http-equiv='
        f'"Content-Security-Policy" content="{POLICY}">'
        "<title>An empty page</title><p>Nothing here."
    )
    return serve(folder)


class Tab:
    """A page with an engine, asked from Python."""

    def __init__(self, page, site, **options):
        self.page = page
        page.goto(site)
        page.evaluate(
            """async (options) => {
              const { Engine } = await import("./_live/engine.js");
              window.engine = new Engine(options);
              window.states = [];
              engine.onstate((name) => states.push(name));
            }""",
            options,
        )

    def __call__(self, call, *given):
        """Return what a method of the engine resolves to."""
        return self.page.evaluate(
            "([call, given]) => engine[call](...given)", [call, list(given)]
        )

    def seconds(self, call, *given):
        """Return how long a method took."""
        return self.page.evaluate(
            """async ([call, given]) => {
              const start = performance.now();
              await engine[call](...given);
              return (performance.now() - start) / 1000;
            }""",
            [call, list(given)],
        )


def test_the_engine_answers_and_survives_its_readers(page, engine_site):
    tab = Tab(page, engine_site, limit=2500)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    assert tab.page.evaluate("states") == ["idle"], "only a request starts it"
    print(f"ready after {tab.seconds('ready'):.1f} s")
    assert tab.page.evaluate("[...new Set(states)]") == [
        *("idle", "loading", "ready"),
    ]
    wrong = tab("check", "dense.attend", UNSCALED)
    assert wrong["verdict"] == "partial"
    assert [each["name"] for each in wrong["diagnosis"]] == ["no_scale"]
    assert wrong["picture"].startswith("<svg")
    assert wrong["output"].startswith("I was here\n")
    again = tab.seconds("check", "dense.attend", UNSCALED)
    print(f"a check with its diagnosis took {again:.3f} s")

    told = tab("check", "dense.attend", "def attend(q, k, v):\n  return q @")
    assert told["error"]["name"] == "SyntaxError"
    assert told["error"]["line"] == 2
    told = tab("run", "x = 1\n\nx + missing\n", {})
    assert told["error"]["name"] == "NameError"
    assert told["error"]["line"] == 3
    flood = tab("run", "for i in range(10 ** 5):\n    print(i)", {})
    assert flood["cut"]
    assert len(flood["output"].splitlines()) < 500
    assert tab("run", "print('x' * 10 ** 8)", {})["cut"]
    loop = tab("check", "dense.attend", "while True:\n    pass")
    assert loop["verdict"] == "timeout"
    assert "2.5 seconds" in loop["says"]
    assert tab("run", "40 + 2", {})["value"] == "42", "the engine is back"
    assert tab("check", "dense.attend", FATAL)["verdict"] == "lost"
    assert tab("run", "import os\nos._exit(1)", {})["error"]["name"] == "Lost"
    tab("run", "np.exp = np.zeros_like; np.seterr(all='raise')", {})
    told = tab("run", "np.exp(np.array([0.0, 999.0])).tolist()", {})
    assert told["value"] == "[1.0, inf]", "no text spoils the next one"
    assert tab("run", "np.arange(3)", {})["value"] == "array([0, 1, 2])"
    assert len(asked) == len(set(asked)), "no new worker asks the server"


def test_stop_ends_what_runs_and_what_waits(page, engine_site):
    tab = Tab(page, engine_site)
    ends = tab.page.evaluate(
        """async () => {
          engine.stop();
          await engine.ready();
          const all = [
            engine.run("while True: pass"),
            engine.check("dense.attend", "while True: pass"),
          ];
          setTimeout(() => engine.stop(), 300);
          const [ran, checked] = await Promise.all(all);
          const after = await engine.run("6 * 7");
          return [ran.error.name, checked.verdict, after.value];
        }"""
    )
    assert ends == ["Stopped", "stopped", "42"]


def test_nothing_that_is_typed_leaves_the_page(page, engine_site):
    tab = Tab(page, engine_site)
    tab("ready")
    asked = []
    page.context.on("request", lambda request: asked.append(request.url))
    for source in WAYS_OUT:
        told = tab("run", source, {})
        assert told["error"], f"must be refused: {source}"
    forged = (
        "import attncourse.checking.judge as j\n"
        'j.beside = lambda *two: \'<svg xmlns="http://www.w3.org/2000/svg" '
        'onload="fetch(1)"/>\'\n'
    )
    assert tab("check", "dense.attend", forged + UNSCALED)["picture"] == ""
    fetched = forged.replace(
        'onload="fetch(1)"/>',
        f'><rect fill="url({engine_site}told?secret#a)"/></svg>',
    )
    assert tab("check", "dense.attend", fetched + UNSCALED)["picture"] == ""
    # A name that every object of the page has, though not as its own.
    inherited = forged.replace('onload="fetch(1)"/>', "><constructor/></svg>")
    assert tab("check", "dense.attend", inherited + UNSCALED)["picture"] == ""
    tab("run", "import time; time.sleep(0.2)", {})
    assert asked == []


def test_the_browser_itself_keeps_the_worker_from_every_network(
    page, engine_site
):
    page.goto(engine_site)
    answered = []
    page.context.on("response", lambda given: answered.append(given.url))
    found = page.evaluate(
        """async ([probe, address]) => {
          const { confined } = await import("./_live/confine.js");
          const text = probe.replaceAll("ADDRESS", JSON.stringify(address));
          const worker = await confined(new Blob([text]));
          return new Promise((resolve) => {
            worker.onmessage = ({ data }) => resolve(data);
          });
        }""",
        [PROBE, f"{engine_site}_live/dom.js"],
    )
    assert found == ["held"] * 5
    assert [each for each in answered if "dom.js" in each] == []


def test_an_engine_without_its_files_says_so(context, engine_site):
    context.route("**/numpy-*.zip", lambda route: route.fulfill(status=404))
    tab = Tab(context.new_page(), engine_site)
    told = tab.page.evaluate(
        """() => engine.run("1").then(() => "ran", (error) => error.message)"""
    )
    assert "numpy" in told
    assert "must be there: got 404" in told
    assert tab.page.evaluate("engine.state.name") == "failed"
    context.unroute("**/numpy-*.zip")
    assert tab("run", "1 + 1", {})["value"] == "2", "trying again may help"


def summary(verdict):
    """Return what must not depend on where an answer is examined."""
    error = verdict["error"] or {"name": None, "line": None}
    return {
        "verdict": verdict["verdict"],
        "points": verdict["points"],
        "stages": [[s["name"], s["passed"]] for s in verdict["stages"]],
        "diagnosis": [each["name"] for each in verdict["diagnosis"]],
        "error": [error["name"], error["line"]],
        "picture": bool(verdict["picture"]),
    }


def the_same_in_both(page, site, answers):
    """Examine answers here and in the browser; return the differences."""
    tab = Tab(page, site, limit=60_000)
    found = tab.page.evaluate(
        """async (all) => {
          const found = [];
          for (const [id, source] of all) {
            found.push(await engine.check(id, source));
          }
          return found;
        }""",
        [[each.question, each.source] for each in answers],
    )
    different = []
    for answer, there in zip(answers, found, strict=True):
        here = json.loads(
            json.dumps(summary(live.check(answer.question, answer.source)))
        )
        there = summary(there)
        parts = [part for part in here if here[part] != there[part]]
        different += [
            f"{answer.question}, {answer.name}: {part} must be "
            f"{here[part]}: got {there[part]}"
            for part in parts
        ]
    return different


def answers_of(unit, *, all_styles):
    """Return a unit's answers, or of the right ones one, and no strangers.

    Answers in torch are for the notebook.
    """
    for id_, row in of_unit(unit).items():
        question = questions.load(id_)
        known = {"reference"}
        if isinstance(question, Question):
            known |= {each.name for each in question.misconceptions}
        right = False
        for each in row:
            if "torch" in each.source or each.name in BITS:
                continue
            if all_styles or each.name in known or each.right is None:
                yield each
            elif each.right and not right:
                right = True
                yield each


def test_every_mistake_is_told_in_the_page_as_in_the_notebook(
    page, engine_site
):
    answers = [
        answer
        for unit in questions.UNITS
        for answer in answers_of(unit, all_styles=False)
    ]
    assert {each.question for each in answers} == {
        id_ for unit in questions.UNITS for id_ in questions.ids(unit)
    }
    assert the_same_in_both(page, engine_site, answers) == []


@pytest.mark.slow
@pytest.mark.parametrize("unit", questions.UNITS)
def test_every_known_answer_earns_the_same_in_the_page(
    page, engine_site, unit
):
    answers = list(answers_of(unit, all_styles=True))
    assert the_same_in_both(page, engine_site, answers) == []
