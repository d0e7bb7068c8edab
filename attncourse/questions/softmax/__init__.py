"""Questions of unit 02: softmax."""

ORDER = ("tempered", "predict", "gradients", "repair", "audit")
