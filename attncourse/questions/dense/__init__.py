"""Questions of unit 04: dense attention."""

ORDER = ("attend", "predict", "repair", "backward", "audit")
