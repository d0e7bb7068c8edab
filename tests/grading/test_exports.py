"""Tables that other systems import."""

import csv
import io

import pytest
from grading.class_samples import klass

from attncourse.grading.model import GradingError
from attncourse.grading.pages import exports
from attncourse.grading.pages.exports import Grade

ROWS = (
    Grade(
        student="ada",
        score=8.5,
        max_score=18.0,
        first_name="Ada",
        last_name="Ång",
        email="ada@example.org",
        lms_user_id="4001",
    ),
    Grade(
        student="bo",
        score=0.0,
        max_score=18.0,
        email="bo@example.org",
        lms_user_id="4002",
        penalty=2.0,
    ),
    Grade(
        student="cy",
        score=None,
        max_score=18.0,
        email="cy@example.org",
        lms_user_id="4003",
    ),
)
ROSTER = (
    "\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,"
    "05_masks (731),Final Score\n"
    "    Points Possible,,,,,18.0,(read only)\n"
    '"Ång, Ada",11,4001,ada,Group 1,,\n'
    '"Bo",12,,bo@uni.example,Group 2,3,\n'
)


def table(sheet):
    return list(csv.reader(io.StringIO(sheet.text)))


def test_canvas_gets_its_columns_and_the_row_of_maxima():
    head, most, *body = table(exports.canvas(ROWS, assignment="05_masks"))
    assert head == [*exports.CANVAS, "05_masks"]
    assert most == ["    Points Possible", "", "", "", "", "18"]
    assert body == [
        ["Ång, Ada", "", "4001", "ada", "", "8.5"],
        ["bo", "", "4002", "bo", "", "0"],
    ]


def test_canvas_takes_names_and_assignment_from_its_own_roster():
    rows = (*ROWS, Grade(student="dee", score=1.0, max_score=18.0))
    sheet = exports.canvas(rows, assignment="05_masks", roster=ROSTER)
    head, _, *body = table(sheet)
    assert head[-1] == "05_masks (731)"
    assert body == [["Ång, Ada", "11", "4001", "ada", "Group 1", "8.5"]]
    assert "Not in the roster, left out: bo, dee." in sheet.notes


def test_a_roster_that_is_none_is_refused():
    with pytest.raises(GradingError, match=r"roster must be Canvas's"):
        exports.canvas(ROWS, assignment="x", roster="a,b\n1,2\n")
    with pytest.raises(GradingError, match="got nothing"):
        exports.canvas(ROWS, assignment="x", roster="\ufeff")


def test_no_name_becomes_canvas_row_of_maxima():
    row = Grade(student="Points Possible", score=1.0, max_score=2.0)
    *_, last = table(exports.canvas([row], assignment="x"))
    assert "Points Possible" not in last[0]


def test_who_is_not_graded_is_in_no_table_that_could_take_a_grade_away():
    for sheet in (
        exports.canvas(ROWS, assignment="x"),
        exports.moodle(ROWS, assignment="x"),
    ):
        assert "cy" not in sheet.text
        assert any("left out" in note and "cy" in note for note in sheet.notes)


@pytest.mark.parametrize(
    ("by", "head", "key"),
    [
        ("username", "Username", "ada"),
        ("idnumber", "ID number", "4001"),
        ("email", "Email address", "ada@example.org"),
    ],
)
def test_moodle_gets_one_column_that_tells_who(by, head, key):
    sheet = exports.moodle(
        ROWS, assignment="05_masks", by=by, comments={"ada": "x < y"}
    )
    heads, first, second = table(sheet)
    assert heads == [head, "05_masks", "Feedback comments"]
    assert first == [key, "8.5", "x &lt; y"]
    assert second[1:] == ["0", ""]
    assert "The grade item's maximum must be 18." in sheet.notes


def test_moodle_gets_no_row_whose_student_is_not_certain():
    rows = (
        Grade(student="a", score=1.0, max_score=2.0),
        Grade(student="b", score=1.0, max_score=2.0, email="same@x.org"),
        Grade(student="c", score=1.0, max_score=2.0, email="same@x.org"),
        Grade(student="d", score=1.0, max_score=2.0, email="=1+1"),
    )
    sheet = exports.moodle(rows, assignment="x", by="email")
    assert len(table(sheet)) == 1
    assert "left out: a, b, c, d." in sheet.notes[0]


def test_nbgraders_table_is_empty_where_nothing_is_graded():
    sheet = exports.nbgrader(ROWS, assignment="05_masks")
    ada, bo, cy = csv.DictReader(io.StringIO(sheet.text))
    assert list(ada) == list(exports.NBGRADER)
    assert (ada["raw_score"], ada["score"]) == ("8.5", "8.5")
    assert (bo["raw_score"], bo["late_submission_penalty"]) == ("", "2")
    assert (cy["raw_score"], cy["score"], cy["max_score"]) == ("", "", "18")


@pytest.mark.parametrize("export", ["canvas", "moodle", "nbgrader"])
def test_no_export_starts_a_formula(export):
    evil = '=HYPERLINK("http://x")'
    row = Grade(
        student=evil,
        score=1.0,
        max_score=2.0,
        first_name=evil,
        last_name=evil,
        email=evil,
        lms_user_id=evil,
    )
    sheet = getattr(exports, export)([row], assignment=evil)
    for line in table(sheet):
        for value in line:
            assert not value.startswith(tuple("=+-@"))


@pytest.mark.parametrize("export", ["canvas", "moodle", "nbgrader"])
def test_an_empty_class_exports_only_headings(export):
    sheet = getattr(exports, export)([], assignment="x")
    assert len(table(sheet)) == (2 if export == "canvas" else 1)


def test_a_reports_class_can_be_exported():
    class_ = klass(60)
    grades = exports.grades(class_)
    assert {g.max_score for g in grades} == {18.0}
    graded = sum(1 for _ in class_.graded())
    sheet = exports.canvas(grades, assignment="05_masks")
    assert len(table(sheet)) == 2 + graded


def test_a_comment_says_how_each_question_came_out():
    class_ = klass(3)
    said = exports.comments(class_)
    assert set(said) == {row.student for row, _ in class_.graded()}
    assert "Masked weights and their totals: " in said["s001"]


@pytest.mark.parametrize(
    "heads",
    [
        "Student;ID;SIS User ID;SIS Login ID;Section;05_masks (731)",
        "LastName;FirstName;ID;SIS User ID;SIS Login ID;Section;"
        "05_masks (731)",
    ],
)
@pytest.mark.parametrize("mark", [",", ";"])
def test_every_form_in_which_canvas_exports_its_gradebook_is_read(heads, mark):
    name = "Ång;Ada" if heads.startswith("Last") else "Ång, Ada"
    people = [f"{name};11;4001;ada;Group 1;", "Points Possible;;;;;;18,0"]
    text = "\n".join(
        mark.join(f'"{each}"' for each in line.split(";"))
        for line in (heads, *reversed(people))
    )
    sheet = exports.canvas(ROWS[:1], assignment="05_masks", roster=text)
    head, _, *body = table(sheet)
    assert head == [*exports.CANVAS, "05_masks (731)"]
    assert body == [["Ång, Ada", "11", "4001", "ada", "Group 1", "8.5"]]


def test_canvas_takes_its_columns_for_what_they_are():
    # What its importer asks of the columns' places, and of every line.
    rows = [
        Grade(
            student="s;1",
            score=1234.5,
            max_score=2000.0,
            last_name='O"Hara, Jr.',
            first_name="Ann;\nLee",
            lms_user_id="a,b",
        )
    ]
    sheet = exports.canvas(rows, assignment="Week; 1, again")
    head, most, line = table(sheet)
    assert "Student" in head[0]
    assert "ID" in head[1]
    assert head[2:5] == ["SIS User ID", "SIS Login ID", "Section"]
    assert "Points Possible" in most[0]
    assert len(head) == len(most) == len(line) == 6
    assert len(sheet.text.splitlines()) == 3
    assert line[2:4] == ["a,b", "s;1"]
    # Two separators in a number would be a thousands' and a decimal one.
    assert line[-1] == "1234.5"


def read_as_moodle_does(text):
    """Split a table as PHP does: a backslash keeps the quote after it."""
    rows, cells, cell, inside, place = [], [], "", False, 0
    while place < len(text):
        sign, after = text[place], text[place + 1 : place + 2]
        if inside and sign == "\\" and after:
            cell += sign + after
            place += 1
        elif inside and sign == after == '"':
            cell += sign
            place += 1
        elif sign == '"':
            inside = not inside
        elif not inside and sign in ",\n":
            cells.append(cell)
            cell = ""
            if sign == "\n":
                rows.append(cells)
                cells = []
        else:
            cell += sign
        place += 1
    return rows


def test_moodle_reads_every_row_whatever_a_comment_holds():
    said = {"ada": 'a "b\\" c\\', "bo": "x, \n y; z\\"}
    sheet = exports.moodle(ROWS, assignment='w\\"1\\', comments=said)
    rows = read_as_moodle_does(sheet.text)
    assert [len(row) for row in rows] == [3, 3, 3]
    assert [row[0] for row in rows[1:]] == ["ada", "bo"]
    assert [row[1] for row in rows[1:]] == ["8.5", "0"]


def test_moodle_is_given_no_name_that_it_takes_for_none():
    names = ("0", " ", "a\\", "Ada")
    rows = [Grade(student=each, score=1.0, max_score=120.0) for each in names]
    sheet = exports.moodle(rows, assignment="x")
    assert [line[0] for line in table(sheet)[1:]] == ["Ada"]
    assert any("small letters" in n and "Ada" in n for n in sheet.notes)
    assert any("no grade above 100" in note for note in sheet.notes)
