"""The commands: arguments, printing, exit codes. One small file a command; `main` finds them by name."""
