"""`explain`: show what the exporter would collect."""

from runbookctl.options import ConfigFile, OutputOption, console, load_inventory_or_fail
from runbookctl.printing import answers


def explain(
    file: ConfigFile = None,
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """Show what the exporter would collect, with costs; connects to no target."""
    from exporter.pages.explain import costs as costs_of
    from runbookctl.printing import costs

    cost_list = list(costs_of(load_inventory_or_fail(file)))
    if output is answers.Format.JSON:
        costs.show_json(cost_list)
    else:
        costs.show_text(console, cost_list)
