"""A group of commands of which one need not be named: `spanmeter statement acme` is `spanmeter statement show acme`."""

import click


class DefaultCommandGroup(click.Group):
    """What does not begin with the name of a command is for `show`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["show", *args]
        return super().parse_args(ctx, args)
