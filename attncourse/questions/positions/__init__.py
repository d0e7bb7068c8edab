"""Questions of unit 07: positions. (Chapter: book/07_positions.md.)"""

ORDER = ("turn", "lean", "repair", "predict", "audit")
