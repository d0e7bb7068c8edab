"""Who imports a heavy module gets a server that has it, and nobody else."""

import base64
from dataclasses import replace

import pytest
from confined import needs_isolation
from engine_samples import children
from grading import judge_notebooks as nb

from attncourse.grading.model import Limits
from attncourse.grading.running.tasks import Setup
from attncourse.grading.sandbox.owner import Child
from attncourse.grading.sandbox.servers import MOST, Servers

pytestmark = needs_isolation
# Light ones stand for heavy ones here.
HEAVY = ("colorsys", "xml.dom", "wave", "chunk_that_is_not_there")


def job(source="", plan="", **files):
    cells = [
        nb.given(plan, "setup"),
        nb.answer("def one():\n    return 1", "one"),
        nb.check(nb.hidden("assert one() == 1"), "one-test"),
    ]
    answers = {"one": f"{source}\ndef one():\n    return 1"}
    return replace(nb.job(cells, answers), files=files)


@pytest.fixture
def servers():
    made = Servers(HEAVY)
    try:
        yield made
    finally:
        made.close()


def loaded(sandbox, name):
    with Child(
        sandbox.address, limits=Limits(), visible=True, seed=3
    ) as child:
        ran = child.run(f"import sys\nx = {name!r} in sys.modules", "cell 1")
        assert ran.failed is None
        return child.fetch("x")


def test_where_nobody_imports_it_nothing_is_started(servers):
    before = children()
    sandbox = servers.fit(job("import numpy  # colorsys?\nx = 'xml'"))
    assert sandbox is servers.first
    assert children() == before


def test_one_server_is_started_for_all_who_import_the_same(servers):
    before = children()
    found = [servers.fit(job("import colorsys as c")) for _ in range(3)]
    assert found[0] is found[1] is found[2] is not servers.first
    assert loaded(found[0], "colorsys")
    assert not loaded(found[0], "xml.dom")
    assert not loaded(servers.first, "colorsys")
    other = servers.fit(job("if 1:\n    from xml import dom", "import wave"))
    assert loaded(other, "xml.dom")
    assert loaded(other, "wave")
    servers.close()
    assert not (children() - before)


def test_no_more_servers_are_held_than_planned(servers):
    sources = ("import colorsys", "import xml", "import wave")
    first = servers.fit(job(sources[0]))
    for source in (*sources[1:], "import xml, wave", sources[1]):
        servers.fit(job(source))
    assert len(servers._others) == MOST
    assert servers.fit(job(sources[0])) is not first


def test_helper_files_count_and_a_file_of_ones_own_comes_first(servers):
    def file(text):
        return base64.b64encode(text.encode()).decode()

    helper = {"tools.py": file("import colorsys")}
    assert servers.needed(job("import tools", **helper)) == ("colorsys",)
    own = {"colorsys.py": file("x = 1"), "xml/dom.py": file("")}
    assert servers.needed(job("import colorsys, xml", **own)) == ()
    spoilt = {"tools.py": "no base64: x", "b.py": file("\x00 import wave")}
    assert servers.needed(job(**spoilt)) == ("wave",)


def test_a_module_that_is_not_installed_harms_nobody(servers):
    sandbox = servers.fit(job("import chunk_that_is_not_there"))
    assert sandbox.missing == ("chunk_that_is_not_there",)
    assert not loaded(sandbox, "chunk_that_is_not_there")


def test_torch_and_pictures_are_heavy_by_default():
    assert Setup().heavy == ("torch", "matplotlib.pyplot")
