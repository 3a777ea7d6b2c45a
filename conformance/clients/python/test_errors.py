"""Error classes: PyODPS makes them of codes, so codes are part of the wire."""

import pytest
import requests
from odps import ODPS, errors
from odps.tunnel import TableTunnel


@pytest.mark.smoke
def test_missing_table_has_its_class_everywhere(odps):
    missing = "nobody_made_this"
    with pytest.raises(errors.NoSuchObject, match="ODPS-0130131"):
        odps.get_table(missing).reload()
    with pytest.raises(errors.NoSuchTable):
        odps.execute_sql(f"select * from {missing}")
    with pytest.raises(errors.NoSuchTable):
        odps.delete_table(missing)
    with pytest.raises(errors.NoSuchObject):
        TableTunnel(odps).create_upload_session(missing)
    with pytest.raises(errors.NoSuchObject):
        TableTunnel(odps).create_download_session(missing)
    with pytest.raises(errors.NoSuchObject):
        TableTunnel(odps).create_stream_upload_session(missing)


def test_missing_project_has_its_class(endpoints):
    endpoint = endpoints("--projects", "local")
    stranger = ODPS("local", "local-secret", project="elsewhere", endpoint=endpoint.url)
    with pytest.raises(errors.NoSuchProject):
        stranger.get_project().reload()
    with pytest.raises(errors.NoSuchObject):
        stranger.get_table("t").reload()


def test_missing_instance_has_its_class(odps):
    with pytest.raises(errors.NoSuchObject):
        odps.get_instance("20240101000000000nobody").reload()
    assert not odps.exist_instance("20240101000000000nobody")


def test_reading_a_result_too_early_or_of_no_select(odps, table):
    t = table("id bigint")
    instance = odps.execute_sql(f"insert into {t.name} values (1L)")
    with pytest.raises(errors.ODPSError):
        instance.open_reader(tunnel=True, limit=False)


@pytest.mark.parametrize(
    "sql, error",
    [
        ("select", errors.ParseError),
        ("select 1 from dual where", errors.ParseError),
        ("create table t_bad (", errors.ParseError),
        ("select nosuch from (select 1 as a) x", errors.ODPSError),
        ("select cast('x' as array<bigint>)", errors.ODPSError),
    ],
)
def test_bad_sql(odps, sql, error):
    with pytest.raises(error) as caught:
        odps.execute_sql(sql)
    assert caught.value.code.startswith("ODPS-")
    assert caught.value.instance_id


def test_errors_carry_a_request_id(odps):
    with pytest.raises(errors.NoSuchObject) as caught:
        odps.get_table("nobody_made_this").reload()
    assert caught.value.request_id
    with pytest.raises(errors.ODPSError) as caught:
        TableTunnel(odps).create_upload_session("nobody_made_this")
    assert caught.value.request_id


def test_wrong_key_is_refused(endpoint):
    stranger = ODPS("local", "wrong", project="local", endpoint=endpoint.url)
    with pytest.raises(errors.ODPSError) as caught:
        stranger.create_table("never", "id bigint")
    assert caught.value.status_code in (401, 403)


@pytest.mark.parametrize("method, path", [("GET", "/api/projects/local/nothing"), ("POST", "/api/projects/local/instances"), ("GET", "/nowhere")])
def test_nothing_is_a_server_error(endpoint, method, path):
    answer = requests.request(method, endpoint.url.removesuffix("/api") + path, data=b"\x00<not xml", timeout=10)
    assert 400 <= answer.status_code < 500
    assert answer.headers["x-odps-request-id"]
