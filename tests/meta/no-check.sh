#!/bin/sh
# no-check.sh - stands for all unit tests where configure did not find Check.
echo "Check (pkg-config check >= 0.12) is not installed: every test program is skipped; see tools/install-deps"
exit 77
