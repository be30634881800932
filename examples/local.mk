# examples/: real programs on spangc.
