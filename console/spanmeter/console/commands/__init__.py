"""The commands, one file each; `cli.COMMANDS` lists them."""
