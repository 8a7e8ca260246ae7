"""The loop level: a program as buffers, loops and scalar instructions, free of any machine."""
