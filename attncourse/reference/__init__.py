"""What each mechanism is: NumPy, float64, one page each, nothing hidden."""
