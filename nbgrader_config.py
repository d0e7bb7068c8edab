"""Nbgrader's settings for the course; see its documentation for the rest.

Run `attncourse sync` first: it writes the source notebooks. Everything of
a class lies under classroom/, which git ignores, or in the folder that the
environment variable ATTNCOURSE_CLASSROOM names.
"""

import os

from nbconvert.preprocessors import (
    CSSHTMLHeaderPreprocessor,
)
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    ClearOutput,
    GetGrades,
    IgnorePattern,
    LimitOutput,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
)

from attncourse.notebooks.course import tools_on_path
from attncourse.notebooks.feedback import TellVerdicts, keep_pages_only
from attncourse.notebooks.grading import (
    CELL_SECONDS,
    MendSubmission,
    RunCells,
    SettleGrades,
    seconds_for,
)
from attncourse.notebooks.safety import FILTERS

c = get_config()
tools_on_path()

here = os.path.dirname(os.path.abspath(__file__))
classroom = os.path.abspath(
    os.environ.get("ATTNCOURSE_CLASSROOM") or os.path.join(here, "classroom")
)
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
c.ExportApp.plugin_class = "nbgrader.plugins.export.CsvExportPlugin"
c.CsvExportPlugin.to = os.path.join(classroom, "grades.csv")

# Grading. An endless loop costs its own question, not the class.
c.Execute.timeout = CELL_SECONDS
c.Execute.timeout_func = seconds_for
c.Execute.interrupt_on_timeout = True
c.Execute.extra_arguments = ["--IPKernelApp.log_level=ERROR"]
c.Autograde.sanitize_preprocessors = [
    ClearOutput,
    MendSubmission,
    OverwriteKernelspec,
    OverwriteCells,
    CheckCellMetadata,
]
c.Autograde.autograde_preprocessors = [
    RunCells,
    IgnorePattern,
    SettleGrades,
    LimitOutput,
    SaveAutoGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]
c.LimitOutput.max_lines = 200

# Feedback. Nothing that a run put out reaches it, and nothing in it acts.
c.GenerateFeedback.preprocessors = [
    GetGrades,
    TellVerdicts,
    CSSHTMLHeaderPreprocessor,
]
c.GenerateFeedback.post_convert_hook = keep_pages_only
c.HTMLExporter.filters = FILTERS
c.HTMLExporter.sanitize_html = True
