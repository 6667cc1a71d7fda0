"""The pages of the metrics: a kind that has none yet gets its first."""

from pathlib import Path

from tools.docs.metrics_tables import first_page
from tools.docs.page_parts import replace_part


def test_first_page_of_a_kind_has_the_words_of_its_package_and_a_place_for_the_table(tmp_path: Path) -> None:
    page = replace_part(tmp_path / "numbers.md", "| metric |\n", first_page("numbers"))
    assert page.startswith("# Numbers of other services: one request for the JSON that holds them\n")
    assert page.endswith("-->\n| metric |\n<!-- end of table -->\n")
