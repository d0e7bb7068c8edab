"""Where grades are kept: nbgrader's gradebook and folders."""
