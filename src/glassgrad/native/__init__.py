"""The machine level: loops as LLVM IR, compiled, kept on disk, threaded and called."""
