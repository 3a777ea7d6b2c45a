package io.sluice.conformance.matrix;

import com.aliyun.odps.Instance;
import com.aliyun.odps.Odps;
import com.aliyun.odps.data.ArrowRecordReader;
import com.aliyun.odps.data.ArrowRecordWriter;
import com.aliyun.odps.data.Record;
import com.aliyun.odps.data.RecordReader;
import com.aliyun.odps.data.RecordWriter;
import com.aliyun.odps.task.SQLTask;
import com.aliyun.odps.tunnel.InstanceTunnel;
import com.aliyun.odps.tunnel.TableTunnel;
import com.aliyun.odps.tunnel.io.CompressOption;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.VectorSchemaRoot;

/** The ways in which the SDK moves rows. A written table gets its rows in two blocks (two packs of a stream). */
final class Forms {
  private static final CompressOption RAW = new CompressOption(CompressOption.CompressAlgorithm.ODPS_RAW, 0, 0);

  private Forms() {}

  static void write(Job job, List<JsonArray> rows) throws Exception {
    List<List<JsonArray>> halves = List.of(rows.subList(0, rows.size() / 2), rows.subList(rows.size() / 2, rows.size()));
    switch (job.form()) {
      case "record" -> writeRecords(job, halves);
      case "arrow" -> writeArrow(job, halves);
      case "stream" -> writeStream(job, halves);
      default -> throw new IllegalArgumentException("want --form record, arrow or stream to write, not " + job.form());
    }
  }

  static void read(Job job, Consumer<JsonElement> sink) throws Exception {
    switch (job.form()) {
      case "record" -> readRecords(job, sink);
      case "arrow" -> readArrow(job, sink);
      case "instance" -> readInstance(job, sink);
      default -> throw new IllegalArgumentException("want --form record, arrow or instance to read, not " + job.form());
    }
  }

  private static TableTunnel.UploadSession upload(Job job) throws Exception {
    return new TableTunnel(job.odps()).createUploadSession(job.project(), job.schema(), job.table(), false);
  }

  private static TableTunnel.DownloadSession download(Job job) throws Exception {
    return new TableTunnel(job.odps()).buildDownloadSession(job.project(), job.table()).setSchemaName(job.schema()).build();
  }

  private static void fill(Job job, Record record, JsonArray row) {
    for (int i = 0; i < row.size(); i++) {
      record.set(i, RecordValues.fromJson(job.columns().get(i).type(), row.get(i)));
    }
  }

  private static void writeRecords(Job job, List<List<JsonArray>> blocks) throws Exception {
    TableTunnel.UploadSession session = upload(job);
    for (int block = 0; block < blocks.size(); block++) {
      try (RecordWriter writer = session.openRecordWriter(block)) {
        for (JsonArray row : blocks.get(block)) {
          Record record = session.newRecord();
          fill(job, record, row);
          writer.write(record);
        }
      }
    }
    session.commit(new Long[] {0L, 1L});
  }

  private static void writeArrow(Job job, List<List<JsonArray>> blocks) throws Exception {
    TableTunnel.UploadSession session = upload(job);
    for (int block = 0; block < blocks.size(); block++) {
      try (BufferAllocator allocator = new RootAllocator();
          VectorSchemaRoot root = VectorSchemaRoot.create(session.getArrowSchema(), allocator);
          ArrowRecordWriter writer = session.openArrowRecordWriter(block)) {
        List<JsonArray> rows = blocks.get(block);
        for (int row = 0; row < rows.size(); row++) {
          for (int column = 0; column < job.columns().size(); column++) {
            ArrowValues.set(root.getVector(column), row, job.columns().get(column).type(), rows.get(row).get(column));
          }
        }
        root.setRowCount(rows.size());
        writer.write(root);
      }
    }
    session.commit(new Long[] {0L, 1L});
  }

  private static void writeStream(Job job, List<List<JsonArray>> packs) throws Exception {
    TableTunnel.StreamUploadSession session =
        new TableTunnel(job.odps()).buildStreamUploadSession(job.project(), job.table()).setSchemaName(job.schema()).build();
    for (List<JsonArray> rows : packs) {
      TableTunnel.StreamRecordPack pack = session.newRecordPack();
      for (JsonArray row : rows) {
        Record record = session.newRecord();
        fill(job, record, row);
        pack.append(record);
      }
      pack.flush();
    }
  }

  private static void readRecords(Job job, Consumer<JsonElement> sink) throws Exception {
    TableTunnel.DownloadSession session = download(job);
    try (RecordReader reader = session.openRecordReader(0, session.getRecordCount(), RAW, job.of(session.getSchema()))) {
      drain(job, reader, session.getRecordCount(), sink);
    }
  }

  private static void drain(Job job, RecordReader reader, long want, Consumer<JsonElement> sink) throws Exception {
    long rows = 0;
    for (Record record = reader.read(); record != null; record = reader.read()) {
      List<JsonElement> row = new ArrayList<>();
      for (int i = 0; i < job.columns().size(); i++) {
        row.add(RecordValues.toJson(job.columns().get(i).type(), record.get(i)));
      }
      sink.accept(Canonical.list(row));
      rows++;
    }
    // The SDK takes an early end between two records for the end.
    if (rows != want) {
      throw new IllegalStateException("the stream had " + rows + " rows of " + want);
    }
  }

  private static void readArrow(Job job, Consumer<JsonElement> sink) throws Exception {
    TableTunnel.DownloadSession session = download(job);
    long rows = 0;
    try (BufferAllocator allocator = new RootAllocator();
        ArrowRecordReader reader = session.openArrowRecordReader(0, session.getRecordCount(), job.of(session.getSchema()), allocator)) {
      for (VectorSchemaRoot batch = reader.read(); batch != null; batch = reader.read()) {
        try (VectorSchemaRoot root = batch) {
          for (int row = 0; row < root.getRowCount(); row++) {
            List<JsonElement> values = new ArrayList<>();
            for (Job.Field column : job.columns()) {
              values.add(ArrowValues.get(root.getVector(column.name()), row, column.type()));
            }
            sink.accept(Canonical.list(values));
          }
          rows += root.getRowCount();
        }
      }
    }
    if (rows != session.getRecordCount()) {
      throw new IllegalStateException("the stream had " + rows + " rows of " + session.getRecordCount());
    }
  }

  private static void readInstance(Job job, Consumer<JsonElement> sink) throws Exception {
    Odps odps = job.odps();
    String name = job.schema() == null ? job.table() : job.schema() + "." + job.table();
    String columns = job.columns().stream().map(column -> "`" + column.name() + "`").collect(Collectors.joining(", "));
    Instance instance = SQLTask.run(odps, job.project(), "select " + columns + " from " + job.project() + "." + name + ";",
        Map.of("odps.namespace.schema", job.schema() == null ? "false" : "true"), null);
    instance.waitForSuccess();
    InstanceTunnel.DownloadSession session = new InstanceTunnel(odps).createDownloadSession(job.project(), instance.getId());
    try (RecordReader reader = session.openRecordReader(0, session.getRecordCount())) {
      drain(job, reader, session.getRecordCount(), sink);
    }
  }
}
