"""Tables as PyODPS sees them."""

import pytest


@pytest.mark.smoke
def test_table_created_from_text_is_found_with_its_columns(odps, table):
    t = table("id bigint, name string comment 'who'", lifecycle=3, comment="people")
    again = odps.get_table(t.name)
    again.reload()
    assert [(c.name, str(c.type).lower(), c.comment or "") for c in again.table_schema.columns] == [("id", "bigint", ""), ("name", "string", "who")]
    assert (again.lifecycle, again.comment) == (3, "people")
    assert odps.exist_table(t.name)
