"""Pure, sans-I/O: bytes to values and values to bytes. No await, clock, entropy, env, logger."""
