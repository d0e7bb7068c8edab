"""Questions of unit 03, scores."""

ORDER = ("correlate", "joint", "calibrate", "predict", "audit")
