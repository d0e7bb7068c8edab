"""The student's process, seen from outside."""
