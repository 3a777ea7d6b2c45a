package io.sluice.conformance.sdk;

import static io.sluice.conformance.sdk.Client.refused;
import static io.sluice.conformance.sdk.Client.row;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.Instance;
import com.aliyun.odps.Instance.TaskStatus;
import com.aliyun.odps.InstanceFilter;
import com.aliyun.odps.OdpsException;
import com.aliyun.odps.data.Record;
import com.aliyun.odps.data.ResultSet;
import com.aliyun.odps.options.CreateInstanceOption;
import com.aliyun.odps.options.SQLTaskOption;
import com.aliyun.odps.task.SQLTask;
import com.aliyun.odps.tunnel.InstanceTunnel;
import com.aliyun.odps.tunnel.io.CompressOption;
import com.aliyun.odps.tunnel.io.CompressOption.CompressAlgorithm;
import io.sluice.conformance.endpoint.Endpoint;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** SQL tasks: their life, what can be asked about them, and their results in both forms. */
class InstancesTest {
  private static final String TASK = "AnonymousSQLTask";

  private Client client;

  @BeforeEach
  void connect(Endpoint endpoint) {
    client = new Client(endpoint);
  }

  @Test
  @Tag("smoke")
  void tellsAllAboutATaskThatSucceeded() throws Exception {
    String sql = "select 'a<b & ]]>' as text, 1 as n;";
    Instance instance = client.run(sql);
    assertEquals(Instance.Status.TERMINATED, instance.getStatus());
    assertTrue(instance.isTerminated());
    assertTrue(instance.isSuccessful());
    assertEquals(Endpoint.PROJECT, instance.getProject());

    Instance later = client.odps.instances().get(instance.getId()); // knows nothing but the id
    later.reload();
    assertNotNull(later.getOwner());
    assertFalse(later.getEndTime().before(later.getStartTime()));
    assertTrue(Math.abs(later.getStartTime().getTime() - System.currentTimeMillis()) < 120_000, "started at " + later.getStartTime());
    assertEquals(Set.of(TASK), later.getTaskNames());
    assertEquals(TaskStatus.Status.SUCCESS, later.getTaskStatus().get(TASK).getStatus());
    assertEquals("SQL", later.getTaskStatus().get(TASK).getType());
    assertEquals(sql, ((SQLTask) later.getTasks().get(0)).getQuery().trim());
    assertNotNull(later.getTaskSummary(TASK));
    assertNotNull(later.getTaskProgress(TASK));
    assertNotNull(later.getTaskDetailJson2(TASK));
    assertEquals("\"text\",\"n\"\n\"a<b & ]]>\",1\n", later.getTaskResults().get(TASK));
    assertEquals("csv", later.getTaskResultsWithFormat().get(TASK).getFormat());
    assertTrue(client.odps.logview().generateLogView(later, 1).contains(later.getId()));
    assertTrue(client.odps.instances().exists(later.getId()));
    assertFalse(client.odps.instances().exists("20200101000000000gnosuch"));
  }

  @Test
  void tellsWhyATaskFailed() throws Exception {
    Instance instance = SQLTask.run(client.odps, "select * from no_such_table;");
    OdpsException e = assertThrows(OdpsException.class, () -> instance.waitForSuccess(20));
    assertTrue(e.getMessage().startsWith("ODPS-0130131:"), e::getMessage);
    assertTrue(e.getMessage().contains("no_such_table"), e::getMessage);
    assertFalse(instance.isSuccessful());
    assertEquals(TaskStatus.Status.FAILED, client.odps.instances().get(instance.getId()).getTaskStatus().get(TASK).getStatus());
    assertThrows(OdpsException.class, () -> new InstanceTunnel(client.odps).createDownloadSession(Endpoint.PROJECT, instance.getId()));
    refused("ODPS-0130161", () -> client.run("selekt 1;"));
  }

  @Test
  void takesHintsNamesAndPriorities() throws Exception {
    SQLTaskOption option = new SQLTaskOption.Builder().setTaskName("my_task").setHints(Map.of("odps.sql.type.system.odps2", "true"))
        .setInstanceOption(new CreateInstanceOption.Builder().setPriority(3).build()).build();
    Instance instance = SQLTask.run(client.odps, "select 1 as a;", option);
    instance.waitForSuccess(20);
    Instance later = client.odps.instances().get(instance.getId());
    assertEquals(Set.of("my_task"), later.getTaskNames());
    assertEquals(3, later.getPriority());
    assertTrue(later.getTasks().get(0).getProperties().get("settings").contains("odps.sql.type.system.odps2"));
    assertEquals("1", SQLTask.getResult(later, "my_task").get(0).getString(0));
  }

  @Test
  void stopsATask() throws Exception {
    String table = client.table("id bigint)");
    List<?>[] rows = new List<?>[20_000];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = row((long) i);
    }
    client.insert(table, rows);
    // 20,000³ pairs: does not end by itself within the test's time.
    Instance instance = SQLTask.run(client.odps, "select count(*) from " + table + " a join " + table + " b on a.id <> b.id join " + table + " c on b.id <> c.id;");
    assertFalse(instance.isTerminated());
    assertEquals(Instance.Status.RUNNING, instance.getStatus());
    instance.stop();
    instance.waitForTerminated(20, false);
    assertEquals(TaskStatus.Status.CANCELLED, instance.getTaskStatus().get(TASK).getStatus());
    assertThrows(OdpsException.class, () -> instance.waitForSuccess(20));
  }

  @Test
  void listsInstances() throws Exception {
    Date before = new Date(System.currentTimeMillis() - 5_000);
    String good = client.run("select 1 as a;").getId();
    Instance failing = SQLTask.run(client.odps, "select * from no_such_table;");
    failing.waitForTerminated(20, false);
    InstanceFilter filter = new InstanceFilter();
    filter.setStatus(Instance.Status.TERMINATED);
    filter.setFromTime(before);
    filter.setOnlyOwner(true);
    List<String> ids = new ArrayList<>();
    client.odps.instances().iterator(filter).forEachRemaining(instance -> ids.add(instance.getId()));
    assertTrue(ids.containsAll(List.of(good, failing.getId())), ids::toString);
    filter.setStatus(Instance.Status.RUNNING);
    client.odps.instances().iterator(filter).forEachRemaining(instance -> assertFalse(instance.getId().equals(good), "a task that is over is listed as running"));
  }

  @Test
  void givesResultsAsText() throws Exception {
    List<Record> records = SQLTask.getResult(client.run(
        "select 'a \"quoted\", line\nbreak' as s, 1.5 as d, cast(null as string) as n, true as b, datetime '2024-01-02 03:04:05' as t, cast('2024-01-02' as date) as e;"));
    assertEquals(1, records.size());
    Record record = records.get(0);
    assertEquals("a \"quoted\", line\nbreak", record.getString("s"));
    assertEquals("1.5", record.getString("d"));
    assertEquals("\\N", record.getString("n"));
    assertEquals("true", record.getString("b"));
    assertEquals("2024-01-02 03:04:05", record.getString("t"));
    assertEquals("2024-01-02", record.getString("e"));
  }

  @Test
  void givesResultsOfEveryKindThroughTheTunnel() throws Exception {
    Instance instance = client.run("select cast(1 as tinyint) as a, 2L as b, 1.5BD as c, cast('2024-01-02' as date) as d, array(1L, null) as e, map('k', 'v') as f, "
        + "named_struct('x', 1L, 'y', 'z') as g, cast(null as string) as h;");
    InstanceTunnel.DownloadSession session = new InstanceTunnel(client.odps).createDownloadSession(Endpoint.PROJECT, instance.getId());
    assertEquals(1, session.getRecordCount());
    assertEquals(List.of("a", "b", "c", "d", "e", "f", "g", "h"), session.getSchema().getColumns().stream().map(c -> c.getName()).toList());
    assertEquals("TINYINT", session.getSchema().getColumn("a").getTypeInfo().getTypeName());
    assertEquals("ARRAY<BIGINT>", session.getSchema().getColumn("e").getTypeInfo().getTypeName());
    List<Object> values = Client.drain(session.openRecordReader(0, 1)).get(0);
    assertEquals((byte) 1, values.get(0));
    assertEquals(0, new java.math.BigDecimal("1.5").compareTo((java.math.BigDecimal) values.get(2)));
    assertEquals(LocalDate.of(2024, 1, 2), values.get(3));
    assertEquals(row(1L, null), values.get(4));
    assertEquals(Map.of("k", "v"), values.get(5));
    assertEquals(List.of(1L, "z"), ((com.aliyun.odps.data.Struct) values.get(6)).getFieldValues());
    assertEquals(null, values.get(7));
  }

  @Test
  void cutsResultsAsAsked() throws Exception {
    String table = client.table("id bigint, name string)");
    List<?>[] rows = new List<?>[12_000];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = row((long) i, "n" + i);
    }
    client.insert(table, rows);
    Instance instance = client.run("select name, id from " + table + ";");
    assertEquals(10_000, SQLTask.getResult(instance).size());
    assertEquals(10_000, SQLTask.getResultByInstanceTunnel(instance).size());
    assertEquals(12_000, SQLTask.getResultByInstanceTunnel(instance, "AnonymousSQLTask", null, false).size());
    assertEquals(7, SQLTask.getResultByInstanceTunnel(instance, 7L).size());
    InstanceTunnel tunnel = new InstanceTunnel(client.odps);
    assertEquals(10_000, tunnel.createDownloadSession(Endpoint.PROJECT, instance.getId(), true).getRecordCount());
    InstanceTunnel.DownloadSession session = tunnel.createDownloadSession(Endpoint.PROJECT, instance.getId());
    CompressOption raw = new CompressOption(CompressAlgorithm.ODPS_RAW, 0, 0);
    assertEquals(List.of(row(11_998L), row(11_999L)), Client.drain(session.openRecordReader(11_998, 2, raw, List.of(session.getSchema().getColumn("id")))));
    assertEquals(List.of(row("n5", 5L)), Client.drain(tunnel.getDownloadSession(Endpoint.PROJECT, instance.getId(), session.getId()).openRecordReader(5, 1, true)));
    long sum = 0;
    ResultSet set = SQLTask.getResultSet(instance, "AnonymousSQLTask", null, false);
    assertEquals(12_000, set.getRecordCount());
    while (set.hasNext()) {
      sum += set.next().getBigint("id");
    }
    set.close();
    assertEquals(12_000L * 11_999 / 2, sum);
  }

  @Test
  void hasNoRowsOfAStatementThatSelectsNone() throws Exception {
    String table = client.table("id bigint)");
    Instance insert = client.run("insert into " + table + " values (1L);");
    assertThrows(OdpsException.class, () -> SQLTask.getResultByInstanceTunnel(insert));
    assertEquals(List.of(), client.query("select id from " + table + " where id > 1;"));
  }

  @Test
  void runsDefinitionsWithSettings() throws Exception {
    String name = Endpoint.unique("t");
    client.run("set odps.sql.type.system.odps2=true;\nset odps.sql.decimal.odps2=true;\ncreate table " + name + " (id int, d decimal(38,18));");
    assertEquals("DECIMAL(38,18)", client.odps.tables().get(name).getSchema().getColumn("d").getTypeInfo().getTypeName());
    List<Record> desc = SQLTask.getResult(client.run("select * from " + name + ";"));
    assertEquals(List.of(), desc);
  }
}
