"""The same mechanisms in torch, for CPU and GPU, differentiable."""
