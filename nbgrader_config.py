"""Nbgrader's settings for the course; see its documentation for the rest.

Run `attncourse sync` first: it writes the source notebooks. Everything of
a class lies under classroom/, which git ignores, or in the folder that the
environment variable ATTNCOURSE_CLASSROOM names.
"""

import os
from pathlib import Path

from attncourse.grading import plugin
from attncourse.notebooks import engine
from attncourse.notebooks.course import Course, tools_on_path

c = get_config()
tools_on_path()

course = Course(Path(__file__).resolve().parent)
here, classroom = str(course.root), str(course.classroom)
os.makedirs(classroom, exist_ok=True)

c.CourseDirectory.course_id = "attncourse"
c.CourseDirectory.root = here
c.CourseDirectory.source_directory = os.path.join("_build", "source")
for step in ("release", "submitted", "autograded", "feedback", "solution"):
    setattr(
        c.CourseDirectory,
        f"{step}_directory",
        os.path.join(classroom, step),
    )
c.CourseDirectory.db_url = "sqlite:///" + os.path.join(
    classroom, "gradebook.db"
)
# Where a server has no exchange of its own, release and collect work here.
if not os.path.isdir("/usr/local/share/nbgrader/exchange"):
    c.Exchange.root = os.path.join(classroom, "exchange")
    os.makedirs(c.Exchange.root, exist_ok=True)
c.ExportGrades.to = os.path.join(classroom, "grades.csv")

# Grading and feedback are this course's own engine, whoever starts them.
plugin.use(c, lambda assignment: engine.settings(course, assignment))
