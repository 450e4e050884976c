"""Recorders for other programs' executions. Each lies outside the recording core and needs an extra of its own."""
