"""Authored files become notebooks, or a clear list of what is wrong."""

import pytest

from attncourse.checking import Audit, Prediction, Statement
from attncourse.notebooks import expand, release, sync
from attncourse.notebooks.authored import AuthorError, faults, parse
from attncourse.notebooks.course import Course, CourseError, find_course
from attncourse.questions.dense.attend import QUESTION as ATTEND

COMMON = {
    "difficulty": 2,
    "importance": 3,
    "minutes": 5,
    "hints": ("Look.", "Look closer."),
}
GUESS = Prediction(
    id="dense.guess",
    title="Guess",
    function_name="guess",
    points=2,
    statements={"a": Statement("The weights", ("rise", "fall"))},
    **COMMON,
)
AUDIT = Audit(
    id="dense.audit",
    title="Audit",
    function_name="test_it",
    points=3,
    needed=1,
    right=(abs,),
    wrong=(len,),
    **COMMON,
)
ASKED = {each.id: each for each in (ATTEND, GUESS, AUDIT)}
TEXT = '''\
# %% [markdown]
# # 04 Dense

# %% role="setup"
from attncourse import check

# %% [markdown] role="prompt" question="dense.attend"
# Write it.

# %% role="answer" question="dense.attend"

# %% role="test" question="dense.attend"

# %% [markdown] role="prompt" question="dense.guess"
# Guess it.

# %% role="answer" question="dense.guess"
def guess():
    """Return a dict."""
    ### BEGIN SOLUTION
    return {"a": "the model guess"}
    ### END SOLUTION

# %% role="test" question="dense.guess"
answers = {"a": "rise"}
because = {"a": {"fall": """a long
string"""}}

# %% [markdown] role="prompt" question="dense.audit"
# ### My own title
#
# Test it.

# %% role="answer" question="dense.audit"
def test_it(candidate):
    ### BEGIN SOLUTION
    assert candidate(-1) == 1, "model test"
    ### END SOLUTION

# %% role="test" question="dense.audit"
def secret_candidate(x):
    return -x


right = [abs]
wrong = [secret_candidate]

# %%
# play here

# %% [markdown] role="written" question="dense.hull"
# Why?
#
# ### BEGIN SOLUTION
# Since it is a model answer.
# ### END SOLUTION
'''


def made(text=TEXT, asked=ASKED, **options):
    options = {"written_points": 2, **options}
    return expand.expand(parse(text), unit="dense", asked=asked, **options)


@pytest.fixture(scope="module")
def released():
    book = made()
    return book, release.release({"04_dense": book})["04_dense"]


def cells(book):
    return {cell.id: cell for cell in book.cells}


def test_roles_become_nbgrader_s_cells_with_names_that_stay():
    own = {
        name: (n.grade, n.solution, n.locked, n.get("points"))
        for name, cell in cells(made()).items()
        if (n := cell.metadata.get("nbgrader"))
    }
    assert own == {
        "setup": (False, False, True, None),
        "attend-prompt": (False, False, True, None),
        "attend": (False, True, False, None),
        "attend-test": (True, False, True, 4),
        "guess-prompt": (False, False, True, None),
        "guess": (False, True, False, None),
        "guess-test": (True, False, True, 2),
        "audit-prompt": (False, False, True, None),
        "audit": (False, True, False, None),
        "audit-test": (True, False, True, 3),
        "hull-answer": (True, True, False, 2),
    }
    assert next(iter(cells(made()))) == "start-text-1"
    assert "audit-play-1" in cells(made())


def test_the_prompt_states_the_facts_and_folds_the_hints():
    text = cells(made())["attend-prompt"].source
    assert text.startswith("## Attention and its weights\n")
    assert "4 points" in text
    assert "difficulty ●●○○○ (2 of 5)" in text
    assert text.count("<details><summary>Hint") == len(ATTEND.hints)
    assert cells(made())["audit-prompt"].source.startswith("### My own")
    assert '`"rise"` / `"fall"`' in cells(made())["guess-prompt"].source


def test_stub_and_solution_come_from_the_question_s_function():
    source = cells(made())["attend"].source
    assert source.startswith("def attend(q, k, v):")
    assert "    ### BEGIN SOLUTION\n    scale = np.sqrt" in source
    assert source.endswith("    return output, weights\n    ### END SOLUTION")


def test_a_test_cell_ends_in_the_points_and_hides_its_secrets():
    source = cells(made())["guess-test"].source
    assert source.startswith('check("dense.guess", guess)\n### BEGIN HIDDEN')
    assert (
        'grade("dense.guess", guess, answers=answers, because=because)'
        in source
    )
    assert "key" not in source
    assert source.endswith("_hidden()\n### END HIDDEN TESTS")
    assert 'a long\nstring"""}}' in source


def test_a_mirror_shows_the_package_s_own_function():
    text = TEXT.replace(
        '# %% role="answer" question="dense.audit"\n',
        '# %% role="answer" question="dense.audit"\n'
        "# mirror: attncourse.reference.dense.attention\n",
    )
    source = cells(made(text))["audit"].source
    assert source.startswith("def attention(")
    assert source.count("### BEGIN SOLUTION") == 2


def test_the_release_keeps_stubs_and_drops_every_secret(released):
    source, text = released
    assert release.told(source, release_of(text)) == []
    assert "# YOUR CODE HERE" in text
    for secret in ("HIDDEN", "SOLUTION", "model", "secret_candidate"):
        assert secret not in text
    assert '"check(\\"dense.audit\\", test_it)"' in text


def release_of(text):
    import nbformat

    return nbformat.reads(text, as_version=4)


@pytest.mark.parametrize(
    "leak",
    [
        "### BEGIN SOLUTION",
        'return {"a": "the model guess"}',
        "def secret_candidate(x): ...",
        "answers = {}",
    ],
)
def test_a_leak_is_noticed(released, leak):
    source, text = released
    book = release_of(text)
    book.cells[-2].source += "\n" + leak
    assert release.told(source, book)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('role="setup"', 'role="steup"', "cell 2: role must be one of setup"),
        (
            '# %% role="test" question="dense.attend"\n',
            "",
            "question 'dense.attend' must have one test cell: got 0",
        ),
        ("dense.audit", "dense.adit", "'dense.adit' must have a module in"),
        ("dense.hull", "masks.hull", "question must be dense.NAME: got"),
        (' question="dense.hull"', "", "written cell must name its question"),
        ("# play here", "### BEGIN SOLUTION\n1\n### END SOLUTION", "a free"),
        ("# play here", "### BEGIN SOLUTION\n1", "come as a pair: got (1, 0)"),
        (
            "# play here",
            "### BEGIN HIDDEN TESTS",
            "the tool writes the",
        ),
        ("answers =", "anwsers =", "test cell must define answers: got none"),
        ("def guess(", "def gess(", "must define guess: got another name"),
    ],
)
def test_a_fault_is_told_with_its_place(old, new, message):
    with pytest.raises(AuthorError) as caught:
        made(TEXT.replace(old, new))
    assert message in str(caught.value)


def test_the_order_of_the_unit_must_be_kept():
    swapped = dict(reversed(ASKED.items()))
    assert "must come in the order of ORDER, dense.audit" in "".join(
        faults(parse(TEXT), "dense", swapped)
    )


def course_in(folder, text=None):
    (folder / "solutions").mkdir()
    (folder / "nbgrader_config.py").touch()
    (folder / "pyproject.toml").write_text(
        "[tool.attncourse]\nwritten_points = 0\n"
    )
    if text:
        file = folder / "solutions" / "04_dense" / "dense.py"
        file.parent.mkdir()
        file.write_text(text)
    return Course(folder)


def test_a_missing_question_module_is_named(tmp_path):
    course = course_in(tmp_path, TEXT)
    with pytest.raises(AuthorError, match=r"dense\.py\n.*'dense\.guess' must"):
        sync.sync(course, ["04_dense"])


def test_a_unit_is_named_or_the_known_ones_are(tmp_path):
    course = course_in(tmp_path)
    with pytest.raises(CourseError, match="must hold NN_unit"):
        sync.chosen(course, [])
    folder = tmp_path / "solutions" / "04_dense"
    folder.mkdir()
    (folder / "dense.py").touch()
    assert sync.chosen(course, ["dense"]) == ["04_dense"]
    with pytest.raises(CourseError, match="one of dense: got desne"):
        sync.chosen(course, ["desne"])


def test_a_written_answer_may_count_nothing(tmp_path):
    course = course_in(tmp_path)
    assert course.written_points() == 0
    text = cells(made(written_points=0))["hull-answer"].source
    assert "counts no points" in text


def test_the_checkout_is_found_from_below_or_missed_clearly(tmp_path):
    course = course_in(tmp_path)
    assert find_course(tmp_path / "solutions").root == course.root
    with pytest.raises(CourseError, match="must be run inside a checkout"):
        find_course(tmp_path.parent)
