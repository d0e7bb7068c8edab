"""From the authors' text files to nbgrader's notebooks, and back as grades.

`sync` writes nbgrader's source notebooks and the students' exercises,
`grading` and `feedback` hold what `nbgrader_config.py` puts into
nbgrader's steps, `sample` and `classroom` take an invented class through
them, `try_out` checks a notebook where there is no Jupyter. Importing this
package loads none of them: the last must work where nbgrader is not.
"""
