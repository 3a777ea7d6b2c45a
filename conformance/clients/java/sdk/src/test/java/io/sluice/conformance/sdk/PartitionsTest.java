package io.sluice.conformance.sdk;

import static io.sluice.conformance.sdk.Client.row;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.aliyun.odps.NoSuchObjectException;
import com.aliyun.odps.OdpsException;
import com.aliyun.odps.Partition;
import com.aliyun.odps.PartitionSpec;
import com.aliyun.odps.Table;
import com.aliyun.odps.data.RecordWriter;
import com.aliyun.odps.tunnel.TableTunnel;
import io.sluice.conformance.endpoint.Endpoint;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

class PartitionsTest {
  private Client client;

  @BeforeEach
  void connect(Endpoint endpoint) {
    client = new Client(endpoint);
  }

  private Table partitioned() throws OdpsException {
    return client.odps.tables().get(client.table("id bigint) partitioned by (dt string, hh bigint)"));
  }

  private static PartitionSpec spec(String dt, int hh) {
    return new PartitionSpec("dt='" + dt + "',hh='" + hh + "'");
  }

  private static List<String> names(Iterator<Partition> partitions) {
    List<String> names = new ArrayList<>();
    partitions.forEachRemaining(partition -> names.add(partition.getPartitionSpec().toString(false, true)));
    return names;
  }

  @Test
  @Tag("smoke")
  void createsFindsAndDropsPartitions() throws Exception {
    Table table = partitioned();
    assertTrue(table.isPartitioned());
    table.createPartition(spec("2024-01-02", 3));
    table.createPartition(spec("2024-01-02", 4));
    assertThrows(OdpsException.class, () -> table.createPartition(spec("2024-01-02", 3)));
    table.createPartition(spec("2024-01-02", 3), true);
    assertTrue(table.hasPartition(spec("2024-01-02", 3)));
    assertFalse(table.hasPartition(spec("2024-01-02", 5)));
    assertEquals(List.of("dt='2024-01-02',hh='3'", "dt='2024-01-02',hh='4'"), table.getPartitionSpecs().stream().map(PartitionSpec::toString).toList());
    table.deletePartition(spec("2024-01-02", 3));
    assertThrows(OdpsException.class, () -> table.deletePartition(spec("2024-01-02", 3)));
    table.deletePartition(spec("2024-01-02", 3), true);
    assertEquals(List.of("dt=2024-01-02/hh=4"), names(table.getPartitions().iterator()));
    assertThrows(NoSuchObjectException.class, () -> table.getPartition(spec("2024-01-02", 3)).reload());
  }

  @Test
  void listsOverPagesByPrefixAndBackwards() throws Exception {
    Table table = partitioned();
    List<String> all = new ArrayList<>();
    for (int dt = 1; dt <= 3; dt++) {
      for (int hh = 0; hh < 5; hh++) {
        table.createPartition(spec("d" + dt, hh));
        all.add("dt=d" + dt + "/hh=" + hh);
      }
    }
    assertEquals(all, names(table.getPartitionIterator()));
    assertEquals(all, names(table.getPartitionIterator(null, false, 4L, null)));
    assertEquals(all.subList(0, 7), names(table.getPartitionIterator(null, false, 3L, 7L)));
    assertEquals(all.subList(5, 10), names(table.getPartitionIterator(new PartitionSpec("dt='d2'"))));
    List<String> reversed = new ArrayList<>(all);
    java.util.Collections.reverse(reversed);
    assertEquals(reversed, names(table.getPartitionIterator(null, true, 4L, null)));
    assertEquals(List.of(), names(table.getPartitionIterator(new PartitionSpec("dt='d9'"))));
  }

  @Test
  void tellsAPartitionsProperties() throws Exception {
    Table table = partitioned();
    table.createPartition(spec("a", 1));
    TableTunnel.UploadSession session = client.tunnel().createUploadSession(Endpoint.PROJECT, table.getName(), spec("a", 1));
    try (RecordWriter writer = session.openRecordWriter(0)) {
      for (long id = 0; id < 10; id++) {
        writer.write(Client.record(session.newRecord(), row(id)));
      }
    }
    session.commit(new Long[] {0L});
    Partition partition = table.getPartition(spec("a", 1));
    assertEquals(10, partition.getRecordNum());
    assertTrue(partition.getSize() > 0);
    assertTrue(partition.getFileNum() > 0);
    assertTrue(partition.getPhysicalSize() > 0);
    assertFalse(partition.isArchived());
    assertFalse(partition.isExstore());
    assertTrue(Math.abs(System.currentTimeMillis() - partition.getCreatedTime().getTime()) < 120_000, "created at " + partition.getCreatedTime());
    assertFalse(partition.getLastDataModifiedTime().before(partition.getCreatedTime()));
    assertEquals(List.of(row(45L, "a", 1L)), client.query("select sum(id), dt, hh from " + table.getName() + " group by dt, hh;"));
  }

  @Test
  void refusesPartitionsThatDoNotFit() throws Exception {
    Table table = partitioned();
    assertThrows(OdpsException.class, () -> table.createPartition(new PartitionSpec("dt='a'")));
    assertThrows(OdpsException.class, () -> table.createPartition(new PartitionSpec("dt='a',xx='1'")));
    assertThrows(OdpsException.class, () -> table.createPartition(new PartitionSpec("dt='a',hh='one'")));
    assertEquals(List.of(), names(table.getPartitionIterator()));
  }
}
