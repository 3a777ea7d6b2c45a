package io.sluice.conformance.sdk;

import static io.sluice.conformance.sdk.Client.refused;
import static io.sluice.conformance.sdk.Client.row;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.Column;
import com.aliyun.odps.NoSuchObjectException;
import com.aliyun.odps.OdpsException;
import com.aliyun.odps.Table;
import com.aliyun.odps.TableFilter;
import com.aliyun.odps.TableSchema;
import com.aliyun.odps.Tables;
import com.aliyun.odps.type.TypeInfo;
import com.aliyun.odps.type.TypeInfoFactory;
import com.aliyun.odps.type.TypeInfoParser;
import io.sluice.conformance.endpoint.Endpoint;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

class TablesTest {
  static final List<String> EVERY_TYPE = List.of("TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL(10,2)", "DECIMAL(38,18)", "STRING",
      "CHAR(4)", "VARCHAR(5)", "BINARY", "BOOLEAN", "DATE", "DATETIME", "TIMESTAMP", "TIMESTAMP_NTZ", "INTERVAL_DAY_TIME", "INTERVAL_YEAR_MONTH", "JSON",
      "ARRAY<STRING>", "MAP<BIGINT,ARRAY<DATE>>", "STRUCT<`a`:INT,`b`:MAP<STRING,DECIMAL(5,1)>>");

  private Client client;
  private Tables tables;

  @BeforeEach
  void connect(Endpoint endpoint) {
    client = new Client(endpoint);
    tables = client.odps.tables();
  }

  @Test
  @Tag("smoke")
  void createsATableOfEveryType() throws Exception {
    TableSchema schema = new TableSchema();
    for (int i = 0; i < EVERY_TYPE.size(); i++) {
      schema.addColumn(new Column("c" + i, TypeInfoParser.getTypeInfoFromTypeString(EVERY_TYPE.get(i)), "comment 'of' " + i));
    }
    schema.addPartitionColumn(new Column("pt", TypeInfoFactory.STRING, "day"));
    schema.addPartitionColumn(new Column("hh", TypeInfoFactory.BIGINT));
    String name = Endpoint.unique("types");
    tables.create(Endpoint.PROJECT, name, schema);

    Table table = tables.get(name);
    assertEquals(List.of("pt", "hh"), table.getSchema().getPartitionColumns().stream().map(Column::getName).toList());
    assertEquals("BIGINT", table.getSchema().getPartitionColumn("hh").getTypeInfo().getTypeName());
    assertEquals("day", table.getSchema().getPartitionColumn("pt").getComment());
    for (int i = 0; i < EVERY_TYPE.size(); i++) {
      Column column = table.getSchema().getColumn(i);
      assertEquals("c" + i, column.getName());
      assertEquals(TypeInfoParser.getTypeInfoFromTypeString(EVERY_TYPE.get(i)).getTypeName(), column.getTypeInfo().getTypeName());
      assertEquals("comment 'of' " + i, column.getComment());
      assertTrue(column.isNullable());
    }
  }

  @Test
  void tellsATablesProperties() throws Exception {
    Instant before = Instant.now();
    TableSchema schema = TableSchema.builder()
        .withColumn(Column.newBuilder("id", TypeInfoFactory.BIGINT).notNull().withComment("the 'key'").build())
        .withColumn(Column.newBuilder("s", TypeInfoFactory.STRING).withDefaultValue("none").build()).build();
    String name = Endpoint.unique("props");
    tables.newTableCreator(name, schema).withComment("it's a \"comment\" 中文").withLifeCycle(7L).withTblProperties(Map.of("a.b", "c")).create();
    Table table = tables.get(name);
    table.reload();
    assertEquals(Endpoint.PROJECT, table.getProject());
    assertEquals(name, table.getName());
    assertEquals("it's a \"comment\" 中文", table.getComment());
    assertEquals(7, table.getLife());
    assertEquals(Table.TableType.MANAGED_TABLE, table.getType());
    assertFalse(table.isVirtualView());
    assertFalse(table.isExternalTable());
    assertFalse(table.isPartitioned());
    assertFalse(table.isTransactional());
    assertNotNull(table.getOwner());
    assertNotNull(table.getTableID());
    assertTrue(Duration.between(before, table.getCreatedTime().toInstant()).abs().toMinutes() < 2, "created at " + table.getCreatedTime());
    assertNotNull(table.getLastMetaModifiedTime());
    assertFalse(table.getSchema().getColumn("id").isNullable());
    assertEquals("the 'key'", table.getSchema().getColumn("id").getComment());
    assertTrue(table.getSchema().getColumn("s").hasDefaultValue());
    assertEquals("none", table.getSchema().getColumn("s").getDefaultValue());
    assertEquals(0, table.getRecordNum());

    client.insert(name, row(1L, "x"), row(2L, null));
    Table filled = tables.get(name);
    assertEquals(2, filled.getRecordNum());
    assertTrue(filled.getSize() > 0);
    assertTrue(filled.getFileNum() > 0);
    assertTrue(filled.getPhysicalSize() > 0);
    assertFalse(filled.getLastDataModifiedTime().before(filled.getCreatedTime()));
  }

  @Test
  void createsADeltaTable() throws Exception {
    TableSchema schema = TableSchema.builder().withColumn(Column.newBuilder("id", TypeInfoFactory.BIGINT).notNull().build()).withStringColumn("s").build();
    String name = Endpoint.unique("delta");
    tables.newTableCreator(name, schema).deltaTable().withPrimaryKeys(List.of("id")).withDeltaTableBucketNum(4).create();
    Table table = tables.get(name);
    assertTrue(table.isTransactional());
    assertTrue(table.isDeltaTable());
    assertEquals(List.of("id"), table.getPrimaryKey());
  }

  @Test
  void createsFromASelectAndAView() throws Exception {
    String source = client.table("id bigint, name string)");
    client.insert(source, row(1L, "a"), row(2L, "b"), row(3L, null));
    String copy = Endpoint.unique("copy");
    tables.newTableCreator(copy, null).withSelectStatement("select name, id * 10 as ten from " + source + " where id > 1").create();
    assertEquals(List.of(row("b", 20L), row(null, 30L)), client.query("select * from " + copy + " order by ten;"));

    String view = Endpoint.unique("view");
    tables.newTableCreator(view, null).virtualView().withSelectStatement("select count(*) as n from " + source).create();
    assertTrue(tables.get(view).isVirtualView());
    assertTrue(tables.get(view).getViewText().contains(source));
    assertEquals(List.of(row(3L)), client.query("select n from " + view + ";"));
    client.insert(source, row(4L, "d"));
    assertEquals(List.of(row(4L)), client.query("select n from " + view + ";"));
  }

  @Test
  void refusesASecondTableUnlessItMayExist() throws Exception {
    TableSchema schema = TableSchema.builder().withBigintColumn("id").build();
    String name = Endpoint.unique("twice");
    tables.create(name, schema);
    assertThrows(OdpsException.class, () -> tables.create(name, schema));
    tables.create(name, TableSchema.builder().withStringColumn("other").build(), true);
    assertEquals("id", tables.get(name).getSchema().getColumn(0).getName());
    assertTrue(tables.exists(name));
    tables.delete(name);
    assertFalse(tables.exists(name));
    assertThrows(OdpsException.class, () -> tables.delete(name));
    tables.delete(name, true);
    NoSuchObjectException e = assertThrows(NoSuchObjectException.class, () -> tables.get(name).reload());
    assertEquals(404, e.getStatus());
    assertNotNull(e.getRequestId());
  }

  @Test
  void listsByPrefixOwnerAndTypeOverPages() throws Exception {
    TableSchema schema = TableSchema.builder().withBigintColumn("id").build();
    for (int i = 0; i < 1005; i++) { // one page holds 1,000
      tables.create("listing", String.format("page_%04d", i), schema);
    }
    tables.create("listing", "other", schema);
    List<String> all = new ArrayList<>();
    tables.iterator("listing").forEachRemaining(table -> all.add(table.getName()));
    assertEquals(1006, all.size());
    TableFilter filter = new TableFilter();
    filter.setName("page_");
    List<String> some = new ArrayList<>();
    tables.iterator("listing", filter).forEachRemaining(table -> some.add(table.getName()));
    assertEquals(1005, some.size());
    assertEquals(some.stream().sorted().distinct().toList(), some);
    filter.setName("page_00");
    filter.setType(Table.TableType.VIRTUAL_VIEW);
    assertFalse(tables.iterator("listing", filter).hasNext());
    filter.setType(Table.TableType.MANAGED_TABLE);
    filter.setOwner(tables.get("listing", "other").getOwner());
    List<String> few = new ArrayList<>();
    tables.iterator("listing", filter).forEachRemaining(table -> few.add(table.getName()));
    assertEquals(100, few.size());
  }

  @Test
  void loadsManyTablesAtOnce() throws Exception {
    String one = client.table("a bigint)");
    String two = client.table("b string)");
    List<Table> loaded = tables.loadTables(List.of(one, "no_such_table", two));
    assertEquals(List.of(one, two), loaded.stream().map(Table::getName).sorted((a, b) -> a.equals(one) ? -1 : 1).toList());
    for (Table table : loaded) {
      assertEquals(table.getName().equals(one) ? "a" : "b", table.getSchema().getColumn(0).getName());
    }
    List<Table> again = tables.reloadTables(List.of(tables.get(two)));
    assertEquals("b", again.get(0).getSchema().getColumn(0).getName());
  }

  @Test
  void altersATable() throws Exception {
    String name = client.table("id bigint, a string, b int) comment 'old'");
    client.insert(name, row(1L, "x", 5));
    Table table = tables.get(name);
    table.changeComment("it's new");
    table.setLifeCycle(9);
    table.touch();
    table.addColumns(List.of(new Column("c", TypeInfoFactory.DOUBLE, "added"), new Column("d", TypeInfoParser.getTypeInfoFromTypeString("array<string>"))), false);
    table.changeColumnName("a", "name");
    table.dropColumns(List.of("b"));
    table.reload();
    assertEquals("it's new", table.getComment());
    assertEquals(9, table.getLife());
    assertEquals(List.of("id", "name", "c", "d"), table.getSchema().getColumns().stream().map(Column::getName).toList());
    assertEquals("added", table.getSchema().getColumn("c").getComment());
    assertEquals(List.of(row(1L, "x", null, null)), client.query("select * from " + name + ";"));
    client.insert(name, row(2L, "y", 0.5, List.of("z")));

    String renamed = Endpoint.unique("renamed");
    table.rename(renamed);
    assertFalse(tables.exists(name));
    assertEquals(List.of(row("y", List.of("z"))), client.query("select name, d from " + renamed + " where c = 0.5;"));
    tables.get(renamed).truncate();
    assertEquals(List.of(row(0L)), client.query("select count(*) from " + renamed + ";"));
  }

  @Test
  void widensAColumn() throws Exception {
    String name = client.table("id int, s varchar(3))");
    client.insert(name, row(7, new com.aliyun.odps.data.Varchar("abc")));
    Table table = tables.get(name);
    table.alterColumnType("id", TypeInfoFactory.BIGINT);
    table.alterColumnType("s", TypeInfoFactory.STRING);
    client.insert(name, row(1L << 40, "longer than three"));
    assertEquals(List.of(row(7L, "abc"), row(1L << 40, "longer than three")), Client.drain(client.download(name).openRecordReader(0, 2)));
    assertThrows(OdpsException.class, () -> table.alterColumnType("id", TypeInfoFactory.TINYINT));
  }

  @Test
  void readsTheFirstRows() throws Exception {
    String name = client.table("id bigint, name string, t timestamp, d decimal(10,2)) partitioned by (pt string)");
    client.run("insert into " + name + " partition (pt='a') values (1L, 'one', timestamp '2024-01-02 03:04:05.678901234', 1.5BD), (2L, null, null, null);");
    client.run("insert into " + name + " partition (pt='b') values (3L, 'three', null, 3BD);");
    assertEquals(List.of(row("one", "a"), row(null, "a")), preview(name, "pt='a'", List.of("name", "pt")));
    assertEquals(1, Client.drain(tables.get(name).read(1)).size());
    assertEquals(3, Client.drain(tables.get(name).read(100)).size());
  }

  private List<List<Object>> preview(String name, String partition, List<String> columns) throws Exception {
    return Client.drain(tables.get(name).read(new com.aliyun.odps.PartitionSpec(partition), columns, 10));
  }

  @Test
  void tellsWhatIsWrongWithADefinition() {
    refused("ODPS-0130161", () -> client.run("create table (id bigint);"));
    refused("ODPS-0130131", () -> client.run("select * from no_such_table;"));
    TypeInfo unknown = TypeInfoFactory.VOID;
    assertThrows(OdpsException.class, () -> tables.create(Endpoint.unique("void"), TableSchema.builder().withColumn(new Column("c", unknown)).build()));
  }
}
