"""What the last successful update asked for, read from the stack's state."""
