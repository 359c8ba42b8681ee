"""The `ct` command. Each subcommand is a module; what it does lives in plain code elsewhere."""
