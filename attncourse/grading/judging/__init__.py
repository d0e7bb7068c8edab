"""One submission's verdicts: tests run out here, answers in there."""
