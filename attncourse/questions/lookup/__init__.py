"""Questions of unit 01: lookup. (Chapter: book/01_lookup.md.)"""

ORDER = ("soft_read", "leave_one_out", "repair", "predict", "audit")
