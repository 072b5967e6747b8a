"""The command: arguments in, a download, lines for people and exit codes out."""
