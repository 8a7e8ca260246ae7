"""What can be wrong with a model, its loss or its data: one kind of mistake a file, all read off one run."""
