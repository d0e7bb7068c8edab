"""From the authors' text files to nbgrader's notebooks, and back as grades.

`sync` writes nbgrader's source notebooks and the students' exercises,
`engine` tells the grading engine of this course, `sample` invents a class
and `measure` times it, `try_out` checks a notebook where there is no
Jupyter. Importing this package loads none of them: the last must work
where nbgrader is not.
"""
