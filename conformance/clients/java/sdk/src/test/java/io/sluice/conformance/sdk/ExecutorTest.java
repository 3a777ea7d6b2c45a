package io.sluice.conformance.sdk;

import static io.sluice.conformance.sdk.Client.row;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.OdpsException;
import com.aliyun.odps.data.Record;
import com.aliyun.odps.data.ResultSet;
import com.aliyun.odps.sqa.ExecuteMode;
import com.aliyun.odps.sqa.SQLExecutor;
import com.aliyun.odps.sqa.SQLExecutorBuilder;
import io.sluice.conformance.endpoint.Endpoint;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** SQLExecutor, on which the JDBC driver and consoles build: as ordinary tasks, and as MaxQA with a quota. */
class ExecutorTest {
  private static SQLExecutor executor(Client client, ExecuteMode mode) throws OdpsException {
    return SQLExecutorBuilder.builder().odps(client.odps).executeMode(mode).quotaName(mode == ExecuteMode.OFFLINE ? null : "some_quota").build();
  }

  private static List<List<Object>> all(ResultSet rows) {
    List<Record> records = new ArrayList<>();
    rows.forEachRemaining(records::add);
    return Client.values(records);
  }

  @ParameterizedTest
  @EnumSource(value = ExecuteMode.class, names = {"OFFLINE", "INTERACTIVE_V2"})
  void runsStatements(ExecuteMode mode, Endpoint endpoint) throws Exception {
    Client client = new Client(endpoint);
    String table = client.table("id bigint, name string)");
    SQLExecutor executor = executor(client, mode);
    executor.run("insert into " + table + " values (1L, 'one'), (2L, null), (3L, 'three');", new HashMap<>());
    executor.getInstance().waitForSuccess(20);
    executor.run("select name, id from " + table + " where id > 1 order by id;", new HashMap<>(Map.of("odps.sql.type.system.odps2", "true")));
    assertEquals(List.of(row(null, 2L), row("three", 3L)), all(executor.getResultSet()));
    assertEquals(List.of(row(3L)), client.query("select count(*) from " + table + ";"));
    executor.run("select id from " + table + " order by id;", new HashMap<>());
    assertEquals(2, executor.getResult(0L, 2L, null).size());
    assertFalse(executor.getLogView().isEmpty());
    executor.run("select * from no_such_table;", new HashMap<>());
    OdpsException e = assertThrows(OdpsException.class, executor::getResult);
    assertTrue(e.getMessage().contains("ODPS-0130131"), e::getMessage);
    executor.close();
  }

  @Test
  void tellsTenantAndQuota(Endpoint endpoint) throws Exception {
    Client client = new Client(endpoint);
    client.odps.tenant().reload();
    assertEquals("false", client.odps.tenant().getProperty("odps.namespace.schema"));
    assertNotNull(client.odps.quotas().getMaxQAConnInfo("some_quota"));
  }
}
