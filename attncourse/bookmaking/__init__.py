"""What is made from the built book: one PDF, and pictures of its pages."""
