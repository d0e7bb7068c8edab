"""A class, graded: settings, workers, progress, what is pending."""
