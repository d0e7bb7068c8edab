"""Questions of unit 06: many heads."""

ORDER = ("fused", "repair", "decode", "cost", "predict", "audit")
