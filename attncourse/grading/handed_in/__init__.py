"""What students hand in: found, read, matched with what was asked."""
