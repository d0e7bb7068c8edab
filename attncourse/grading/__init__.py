"""The grading engine: it runs notebooks in a sandbox and judges outside.

A student's cells run in a sandboxed process (``inside``), the instructor's
test cells in another one, the judge, where each name that the student
defined is a value or a proxy. The engine keeps nbgrader's formats, knows
nothing of attention, and grades any nbgrader course.
"""
