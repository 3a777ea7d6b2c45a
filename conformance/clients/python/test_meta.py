"""Projects, schemas, instances, functions and accounts as PyODPS sees them."""

import datetime
import json

import pytest
from odps import ODPS, errors
from odps.accounts import AppAccount, BearerTokenAccount, CloudAccount, StsAccount

from sluice_endpoint import ACCESS_ID, ACCESS_KEY, Endpoint

PROJECT = "local"


@pytest.fixture
def connect_as(connect):
    """Factory: PyODPS on an endpoint with an account of its own."""

    def make(endpoint, account, **kw):
        return ODPS(account=account, project=PROJECT, endpoint=endpoint.url, **kw)

    return make


# Projects


@pytest.mark.smoke
def test_project_is_loaded_with_owner_and_times(odps):
    project = odps.get_project()
    project.reload()
    assert project.owner == "ALIYUN$local"
    assert project.creation_time <= datetime.datetime.now()
    assert project.last_modified_time >= project.creation_time
    assert project.status == project.ProjectStatus.AVAILABLE
    assert project.properties["odps.schema.model.enabled"] == "false"
    assert project.get_property("odps.sql.type.system.odps2") == "true"
    assert int(project.extended_properties["usedQuotaPhysicalSize"]) >= 0
    assert project.get_property("none", None) is None


def test_projects_are_listed_by_prefix_and_owner(endpoints, connect):
    o = connect(endpoints("--projects", "local,locust,other"))
    assert [p.name for p in o.list_projects()] == ["local", "locust", "other"]
    assert [p.name for p in o.list_projects(prefix="loc")] == ["local", "locust"]
    assert [p.name for p in o.list_projects(owner="ALIYUN$local")] == ["local", "locust", "other"]
    assert list(o.list_projects(owner="nobody")) == []
    assert o.exist_project("other") and not o.exist_project("none")
    with pytest.raises(errors.NoSuchProject):
        o.get_project("none").reload()


def test_who_am_i(odps):
    assert odps.run_security_query("whoami") == {"DisplayName": "ALIYUN$local", "ID": "1"}
    with pytest.raises(errors.InvalidParameter):
        odps.run_security_query("list users")


def test_quota_and_tenant(odps):
    assert odps.get_quota("any").nickname == "any"
    assert odps.get_quota("any").is_interactive_quota()
    assert odps.default_tenant.get_parameter("odps.namespace.schema") == "false"


# Schemas


@pytest.fixture
def three(endpoints, connect):
    """PyODPS on an endpoint whose project has schemas: it finds out by itself."""
    return connect(endpoints("--schemas"))


@pytest.fixture
def schema(three):
    made = three.create_schema("sales")
    yield made
    for table in list(three.list_tables(schema="sales")):
        table.drop()
    three.delete_schema("sales")


@pytest.mark.smoke
def test_schema_life(three):
    assert three.is_schema_namespace_enabled()
    assert not three.exist_schema("s1")
    for name in ("s1", "s2", "t1"):
        three.create_schema(name)
    try:
        assert three.exist_schema("s1")
        assert [s.name for s in three.list_schemas()] == ["default", "s1", "s2", "t1"]
        assert [s.name for s in three.list_schemas(prefix="s")] == ["s1", "s2"]
        one = three.get_schema("s1")
        one.reload()
        assert one.owner == "ALIYUN$local"
        assert one.last_modified_time >= one.creation_time
        with pytest.raises(errors.ODPSError) as refused:
            three.create_schema("s1")
        assert refused.value.code == "ObjectAlreadyExists"
    finally:
        for name in ("s1", "s2", "t1"):
            three.delete_schema(name)
    with pytest.raises(errors.NoSuchObject):
        three.delete_schema("s1")
    with pytest.raises(errors.InvalidArgument):
        three.delete_schema("default")


@pytest.mark.smoke
def test_tables_in_a_schema(three, schema):
    three.create_table("orders", "id bigint, name string", schema="sales")
    with three.get_table("orders", schema="sales").open_writer() as writer:
        writer.write([[1, "a"], [2, None]])
    assert [t.name for t in three.list_tables(schema="sales")] == ["orders"]
    assert list(three.list_tables()) == []
    assert three.exist_table("orders", schema="sales") and not three.exist_table("orders")
    table = three.get_table("sales.orders")
    table.reload()
    assert table.get_schema().name == "sales"
    with table.open_reader() as reader:
        assert [tuple(r.values) for r in reader] == [(1, "a"), (2, None)]
    for query in ("select id from sales.orders", "select id from local.sales.orders"):
        with three.execute_sql(query + " where name is null").open_reader(tunnel=True) as reader:
            assert [r[0] for r in reader] == [2]
    with three.execute_sql("select count(*) from orders", default_schema="sales").open_reader(tunnel=True) as reader:
        assert [r[0] for r in reader] == [2]
    with pytest.raises(errors.ODPSError):
        three.delete_schema("sales")  # not empty


def test_partitions_in_a_schema(three, schema):
    table = three.create_table("days", ("id bigint", "pt string"), schema="sales")
    table.create_partition("pt=a")
    with table.open_writer("pt=b", create_partition=True) as writer:
        writer.write([[7]])
    assert [p.name for p in table.partitions] == ["pt='a'", "pt='b'"]
    assert table.exist_partition("pt=b") and not table.exist_partition("pt=c")
    with table.open_reader("pt=b") as reader:
        assert [r[0] for r in reader] == [7]
    assert three.get_table("days", schema="sales").get_max_partition().name == "pt='b'"


def test_table_of_a_schema_that_is_not_there(three):
    with pytest.raises(errors.ODPSError, match="ODPS-0422155"):
        three.create_table("t", "id bigint", schema="none")
    assert not three.exist_table("t", schema="none")


# Tables and partitions


def test_tables_are_listed_in_all_ways(odps, name):
    stem = name("list")
    names = [f"{stem}_{i}" for i in range(3)]
    for n in names:
        odps.create_table(n, "id bigint")
    try:
        assert [t.name for t in odps.list_tables(prefix=stem + "_")] == names
        assert [t.name for t in odps.list_tables(prefix=stem + "_", extended=True)] == names
        assert [t.name for t in odps.list_tables(prefix=stem + "_", owner="ALIYUN$local")] == names
        assert list(odps.list_tables(prefix=stem + "_", owner="nobody")) == []
        assert [t.name for t in odps.list_tables(prefix=stem + "_", type="managed_table")] == names
        assert list(odps.list_tables(prefix=stem + "_", type="virtual_view")) == []
    finally:
        for n in names:
            odps.delete_table(n)


def test_table_extended_information(odps, table):
    t = table("id bigint, name string")
    for row in ([1, "a"], [2, "b"]):
        with t.open_writer() as writer:
            writer.write([row])
    t = odps.get_table(t.name)
    t.reload_extend_info()
    assert t.file_num == 2 and t.physical_size > 0 and not t.is_archived
    assert t.reserved["schema_version"] == "0"


def test_clustering_is_kept(odps, name):
    t = name()
    odps.execute_sql(f"create table {t} (id bigint, name string) clustered by (ID) sorted by (id asc, name desc) into 4 buckets")
    info = odps.get_table(t).cluster_info
    assert info.bucket_num == 4 and info.cluster_cols == ["id"]
    assert [(c.name, c.order.value.lower()) for c in info.sort_cols] == [("id", "asc"), ("name", "desc")]


def test_partitions_are_listed_in_all_ways(odps, table):
    t = table(("id bigint", "pt string, hh string"))
    for spec in ("pt=a,hh=1", "pt=a,hh=2", "pt=b,hh=1"):
        t.create_partition(spec)
    assert [p.name for p in t.partitions] == ["pt='a',hh='1'", "pt='a',hh='2'", "pt='b',hh='1'"]
    assert [p.name for p in t.iterate_partitions("pt=a")] == ["pt='a',hh='1'", "pt='a',hh='2'"]
    assert [p.name for p in t.iterate_partitions(reverse=True)] == ["pt='b',hh='1'", "pt='a',hh='2'", "pt='a',hh='1'"]
    p = t.get_partition("pt='a',hh=1")
    p.reload()
    p.reload_extend_info()
    assert p.size == 0 and p.record_num == 0 and p.file_num == 0 and not p.is_archived
    assert p.creation_time <= p.last_data_modified_time
    with pytest.raises(errors.NoSuchObject):
        t.get_partition("pt=none,hh=1").reload()


# Instances


@pytest.mark.smoke
def test_instance_life(odps, table):
    t = table("id bigint")
    odps.execute_sql(f"insert into {t.name} values (1), (2), (3)")
    hints = {"odps.sql.x": "1"}
    i = odps.run_sql(f"select id from {t.name}", hints=hints, priority=4)
    i.wait_for_success()
    assert i.is_terminated() and i.is_successful()
    assert i.owner == "ALIYUN$local" and i.start_time <= i.end_time
    assert i.priority == 4
    assert i.get_sql_query() == f"select id from {t.name};" or i.get_sql_query() == f"select id from {t.name}"
    (task,) = i.tasks
    assert json.loads(task.properties["settings"])["odps.sql.x"] == "1"
    name = i.get_task_names()[0]
    assert i.get_task_statuses()[name].status.value == "SUCCESS"
    (stage,) = i.get_task_progress(name).stages
    assert (stage.input_records, stage.output_records, stage.finished_percentage, stage.terminated_workers) == (3, 3, 100, 1)
    summary = i.get_task_summary(name, with_finalized=True)
    assert summary.finalized and summary["Inputs"][f"local.{t.name}"][0] == 3
    assert "inputs:" in summary.summary_text
    cost = i.get_task_cost(name)
    assert cost.input_size == summary["Inputs"][f"local.{t.name}"][1] > 0
    (worker,) = i.get_task_workers(name)
    assert worker.input_records == 3 and worker.output_records == 3 and worker.status == "Terminated"
    assert i.get_task_detail(name) == i.get_task_detail2(name)
    info = i.get_queueing_info()
    assert info.instance_id == i.id and info.priority == 4 and info.progress == 100
    assert i.get_task_quota(name)["Status"] == "Terminated"
    assert odps.exist_instance(i.id) and not odps.exist_instance("20200101000000none")
    assert i.get_logview_address().startswith(odps.endpoint[: -len("/api")] + "/logview/?")


def test_instances_are_listed_in_all_ways(odps):
    begin = datetime.datetime.now() - datetime.timedelta(seconds=1)
    made = [odps.execute_sql("set a=b").id for _ in range(3)]
    newest = [i.id for i in odps.list_instances(start_time=begin)]
    assert newest[:3] == made[::-1]
    assert [i.id for i in odps.list_instances(start_time=begin, status="Terminated", only_owner=True)][:3] == made[::-1]
    assert list(odps.list_instances(end_time=begin - datetime.timedelta(days=1))) == []
    assert list(odps.list_instances(start_time=begin, status="Suspended")) == []
    assert list(odps.list_instance_queueing_infos()) == []


def test_instance_is_stopped(odps):
    i = odps.run_sql("select count(*) from range(100000) a, range(100000) b, range(100000) c")
    assert i.status == i.Status.RUNNING
    assert [info.instance_id for info in odps.list_instance_queueing_infos()] == [i.id]
    odps.stop_instance(i.id)
    i.wait_for_completion()
    assert not i.is_successful()
    with pytest.raises(errors.ODPSError, match="CANCELLED"):
        i.wait_for_success()


def test_unique_identifier_makes_one_instance_of_two(odps):
    a = odps.run_sql("set a=b", unique_identifier_id="once")
    b = odps.run_sql("set a=b", unique_identifier_id="once")
    assert a.id == b.id
    assert a.get_unique_identifier_id() == "once"


def test_cost_of_a_query(odps, table):
    t = table("id bigint")
    odps.execute_sql(f"insert into {t.name} values (5)")
    cost = odps.execute_sql_cost(f"select id from {t.name}")
    assert (cost.udf_num, cost.complexity) == (0, 1.0) and cost.input_size > 0
    with pytest.raises(errors.NoSuchTable):
        odps.execute_sql_cost("select id from nowhere")


def test_interactive_instance(odps, table):
    t = table("id bigint")
    odps.execute_sql(f"insert into {t.name} values (5)")
    i = odps.execute_sql_interactive(f"select id from {t.name}", use_mcqa_v2=True, quota_name="fast")
    assert i.id.endswith("_mcqa")
    with i.open_reader(tunnel=False) as reader:
        assert [r[0] for r in reader] == [5]


def test_cut_result_text_is_refused(odps):
    i = odps.execute_sql("select range from range(10001)")
    with pytest.raises(errors.NotSupportedError, match="truncated"):
        i.open_reader(tunnel=False, limit=False)
    with i.open_reader(tunnel=False, limit=True) as reader:
        assert len(list(reader)) == 10000
    with i.open_reader(tunnel=True) as reader:
        assert reader.count == 10001


# Functions


def test_function_life(odps, name):
    lower, jar = name("f"), name("r") + ".py"
    odps.create_resource(jar, "py", fileobj="class Lower: pass")
    try:
        f = odps.create_function(lower, class_type="r.Lower", resources=[jar])
        assert f.name == lower and f.class_type == "r.Lower" and f.owner == "ALIYUN$local"
        assert [r.name for r in f.resources] == [jar]
        assert odps.exist_function(lower.upper())
        assert [g.name for g in odps.list_functions(prefix=lower)] == [lower]
        f.class_type = "r.Upper"
        f.update()
        f.owner = "ALIYUN$other"
        f.update()
        again = odps.get_function(lower)
        again.reload()
        assert again.class_type == "r.Upper" and again.owner == "ALIYUN$other"
        with pytest.raises(errors.ODPSError) as refused:
            odps.create_function(lower, class_type="r.Lower", resources=[])
        assert refused.value.code == "ObjectAlreadyExists"
        with pytest.raises(errors.NoSuchObject):
            odps.create_function(lower + "2", class_type="r.Lower", resources=["none.py"])
        odps.delete_function(lower)
        assert not odps.exist_function(lower)
    finally:
        odps.delete_resource(jar)
    with pytest.raises(errors.NoSuchObject):
        odps.delete_function(lower)


def test_function_in_a_schema(three, schema):
    three.create_function("f", class_type="a.B", resources=[], schema="sales")
    try:
        assert three.exist_function("f", schema="sales") and not three.exist_function("f")
        assert [f.name for f in three.list_functions(schema="sales")] == ["f"]
    finally:
        three.delete_function("f", schema="sales")


# Accounts

ACCOUNTS = (
    "--account", "second:key",
    "--account", "temp:tk:session",
    "--account", "past:pk:old:2020-01-01T00:00:00Z",
    "--bearer-token", "open sesame",
    "--bearer-token", "over@2020-01-01T00:00:00Z",
)  # fmt: skip


@pytest.mark.smoke
@pytest.mark.parametrize("region", [None, "cn-shanghai"], ids=["v2", "v4"])
@pytest.mark.parametrize(
    "account",
    [
        lambda: CloudAccount(ACCESS_ID, ACCESS_KEY),
        lambda: CloudAccount("second", "key"),
        lambda: StsAccount("temp", "tk", "session"),
        lambda: BearerTokenAccount("open sesame"),
    ],
    ids=["first", "second", "sts", "bearer"],
)
def test_accounts_that_are_let_in(endpoints, connect_as, account, region):
    o = connect_as(endpoints(*ACCOUNTS), account(), region_name=region)
    o.get_project().reload()
    t = f"acc_{id(account)}"
    o.create_table(t, "id bigint", if_not_exists=True)
    with o.get_table(t).open_writer() as writer:  # the tunnel checks too
        writer.write([[1]])
    with o.get_table(t).open_reader() as reader:
        assert reader.count == 1
    o.delete_table(t)
    assert not o.exist_table("a b+%")


@pytest.mark.parametrize("region", [None, "cn-shanghai"], ids=["v2", "v4"])
@pytest.mark.parametrize(
    "account, error, status",
    [
        (lambda: CloudAccount("second", "no"), errors.SignatureNotMatch, 401),
        (lambda: CloudAccount("nobody", "key"), errors.Unauthorized, 401),
        (lambda: CloudAccount("temp", "tk"), errors.Unauthorized, 401),
        (lambda: StsAccount("temp", "tk", "other"), errors.Unauthorized, 401),
        (lambda: StsAccount("past", "pk", "old"), errors.AuthenticationRequestExpired, 403),
        (lambda: BearerTokenAccount("open"), errors.Unauthorized, 401),
    ],
    ids=["key", "id", "sts without token", "sts with another", "sts expired", "bearer"],
)
def test_accounts_that_are_refused(endpoints, connect_as, account, error, status, region):
    o = connect_as(endpoints(*ACCOUNTS), account(), region_name=region)
    with pytest.raises(error) as refused:
        o.rest.get(o.endpoint + "/projects/" + PROJECT)
    assert refused.value.status_code == status and refused.value.request_id


def test_application_accounts(endpoints, connect_as):
    user = CloudAccount(ACCESS_ID, ACCESS_KEY)
    connect_as(endpoints(*ACCOUNTS), user, app_account=AppAccount("second", "key")).get_project().reload()
    with pytest.raises(errors.SignatureNotMatch):
        connect_as(endpoints(*ACCOUNTS), user, app_account=AppAccount("second", "no")).get_project().reload()
    with pytest.raises(errors.Unauthorized):
        connect_as(endpoints(*ACCOUNTS), user, app_account=AppAccount("nobody", "key")).get_project().reload()


def test_issued_token_lets_in(endpoints, connect, connect_as):
    endpoint = endpoints(*ACCOUNTS)
    policy = {"Version": "1", "Statement": [{"Action": ["*"], "Effect": "Allow", "Resource": "*"}]}
    token = connect(endpoint).get_project().generate_auth_token(policy, "bearer", 1)
    account = BearerTokenAccount(token)
    connect_as(endpoint, account).get_project().reload()
    assert account._expire_time > datetime.datetime.now().timestamp()  # PyODPS reads the end out of the token
    with pytest.raises(errors.Unauthorized):
        connect_as(endpoint, BearerTokenAccount(token[:-8] + "AAAAAAA=")).get_project().reload()


def test_anonymous_endpoint_asks_nobody(endpoints, connect_as):
    o = connect_as(endpoints("--anonymous"), CloudAccount("whoever", "whatever"))
    o.get_project().reload()
    assert not o.exist_table("t")


def test_clock_that_is_wrong_is_told_apart(endpoint, connect, monkeypatch):
    o = connect(endpoint)
    monkeypatch.setattr("odps.accounts.utils.formatdate", lambda **_: "Thu, 01 Jan 1970 00:00:00 GMT")
    with pytest.raises(errors.RequestTimeTooSkewed) as refused:
        o.get_project().reload()
    assert refused.value.max_interval_date == 15 * 60 * 1000
    assert refused.value.now_date - refused.value.expire_date > datetime.timedelta(days=365)


def test_restart_keeps_what_is_known(connect, tmp_path):
    with Endpoint("--schemas", data=tmp_path / "data") as first:
        o = connect(first)
        o.create_schema("kept")
        created = o.get_project().creation_time
        o.create_function("f", class_type="a.B", resources=[])
    with Endpoint("--schemas", data=tmp_path / "data") as second:
        o = connect(second)
        assert o.exist_schema("kept") and o.exist_function("f")
        assert o.get_project().creation_time == created
