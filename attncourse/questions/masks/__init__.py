"""Questions of unit 05, masks."""

ORDER = ("cache", "weigh", "predict", "mend", "loss", "audit")
