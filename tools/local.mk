# tools/: scripts and generators.
