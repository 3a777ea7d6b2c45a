package io.sluice.conformance.sdk;

import static io.sluice.conformance.sdk.Client.row;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.NoSuchObjectException;
import com.aliyun.odps.Odps;
import com.aliyun.odps.OdpsException;
import com.aliyun.odps.Schema;
import com.aliyun.odps.TableSchema;
import com.aliyun.odps.data.RecordWriter;
import com.aliyun.odps.tunnel.TableTunnel;
import io.sluice.conformance.endpoint.Endpoint;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Three-level names: the same table name in two schemas of a project. */
class SchemasTest {
  private Client client;
  private Odps odps;

  @BeforeEach
  void connect(Endpoint endpoint) {
    client = new Client(endpoint);
    odps = client.odps;
    odps.setDefaultProject(Endpoint.unique("project"));
  }

  private List<String> names() {
    List<String> names = new ArrayList<>();
    odps.schemas().iterator().forEachRemaining(schema -> names.add(schema.getName()));
    return names;
  }

  @Test
  @Tag("smoke")
  void createsListsAndDropsSchemas() throws Exception {
    odps.schemas().create("one");
    odps.schemas().create(odps.getDefaultProject(), "two", "its comment", false);
    assertTrue(names().containsAll(List.of("one", "two")), () -> names().toString());
    assertTrue(odps.schemas().exists("two"));
    assertFalse(odps.schemas().exists("three"));
    Schema two = odps.schemas().get("two");
    two.reload();
    assertEquals("its comment", two.getComment());
    assertEquals(odps.getDefaultProject(), two.getProjectName());
    assertNotNull(two.getOwner());
    assertNotNull(two.getCreateTime());
    OdpsException again = assertThrows(OdpsException.class, () -> odps.schemas().create("one"));
    assertEquals(409, again.getStatus(), again::toString);
    odps.schemas().delete("one");
    assertFalse(names().contains("one"));
    assertThrows(NoSuchObjectException.class, () -> odps.schemas().get("one").reload());
    assertThrows(OdpsException.class, () -> odps.schemas().delete("one"));
  }

  @Test
  void keepsTablesOfTwoSchemasApart() throws Exception {
    String project = odps.getDefaultProject();
    for (String schema : List.of("red", "blue")) {
      odps.schemas().create(schema);
      odps.tables().newTableCreator(project, "t", TableSchema.builder().withBigintColumn("id").withStringColumn(schema).build()).withSchemaName(schema).create();
      TableTunnel.UploadSession session = client.tunnel().createUploadSession(project, schema, "t", false);
      try (RecordWriter writer = session.openRecordWriter(0)) {
        writer.write(Client.record(session.newRecord(), row((long) schema.length(), schema)));
      }
      session.commit(new Long[] {0L});
    }
    assertEquals("red", odps.tables().get(project, "red", "t").getSchema().getColumn(1).getName());
    assertEquals("red", odps.tables().get(project, "red", "t").getSchemaName());
    assertFalse(odps.tables().exists(project, "t"));
    assertTrue(odps.tables().exists(project, "blue", "t"));

    TableTunnel.DownloadSession download = client.tunnel().buildDownloadSession(project, "t").setSchemaName("blue").build();
    assertEquals(List.of(row(4L, "blue")), Client.drain(download.openRecordReader(0, 1)));
    odps.setCurrentSchema("red");
    List<String> tables = new ArrayList<>();
    odps.tables().iterator().forEachRemaining(table -> tables.add(table.getSchemaName() + "." + table.getName()));
    assertEquals(List.of("red.t"), tables);
    var instance = com.aliyun.odps.task.SQLTask.run(odps, project, "select r.id as r, b.id as b from t r join blue.t b on r.id < b.id;",
        Map.of("odps.namespace.schema", "true", "odps.default.schema", "red"), null);
    instance.waitForSuccess(20);
    assertEquals(List.of(row(3L, 4L)), Client.values(com.aliyun.odps.task.SQLTask.getResultByInstanceTunnel(instance)));
  }
}
