"""What runs in the student's process; it imports nothing of the course.

The sandbox server puts the folder ``grading`` on its path and imports this
package as ``inside``; the judge imports it as part of the course. Imports
within it are therefore relative, and reach nothing above it.
"""
