"""Every op the engine knows, one class each, one file per family; and the composites made of them."""
