package io.sluice.conformance.matrix;

import com.aliyun.odps.Column;
import com.aliyun.odps.Odps;
import com.aliyun.odps.TableSchema;
import com.aliyun.odps.account.AliyunAccount;
import com.aliyun.odps.type.TypeInfo;
import com.aliyun.odps.type.TypeInfoParser;
import com.google.gson.JsonElement;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What one call of the adapter is to do. schema is null in a project without schemas. */
record Job(boolean write, String endpoint, String project, String schema, String table, String form, List<Field> columns) {

  /** A column to write or read; a table may have more of them when it is read. */
  record Field(String name, TypeInfo type) {}

  static Job parse(List<String> args) throws IOException {
    if (args.isEmpty() || args.size() % 2 == 0) {
      throw new IllegalArgumentException("want (write|read) and pairs --flag value, not " + args);
    }
    Map<String, String> flags = new HashMap<>();
    for (int i = 1; i < args.size(); i += 2) {
      flags.put(args.get(i), args.get(i + 1));
    }
    boolean write = switch (args.get(0)) {
      case "write" -> true;
      case "read" -> false;
      default -> throw new IllegalArgumentException("want write or read, not " + args.get(0));
    };
    String schema = flags.remove("--schema");
    Job job = new Job(write, take(flags, "--endpoint"), take(flags, "--project"), schema, take(flags, "--table"), take(flags, "--form"),
        columns(Path.of(take(flags, "--columns"))));
    if (!flags.isEmpty()) {
      throw new IllegalArgumentException("unknown flags " + flags.keySet());
    }
    return job;
  }

  private static String take(Map<String, String> flags, String name) {
    String value = flags.remove(name);
    if (value == null) {
      throw new IllegalArgumentException(name + " is missing");
    }
    return value;
  }

  private static List<Field> columns(Path file) throws IOException {
    List<Field> columns = new ArrayList<>();
    for (JsonElement column : JsonParser.parseString(Files.readString(file)).getAsJsonArray()) {
      String type = column.getAsJsonObject().get("type").getAsString();
      columns.add(new Field(column.getAsJsonObject().get("name").getAsString(), TypeInfoParser.getTypeInfoFromTypeString(type)));
    }
    return columns;
  }

  /** The columns as a schema has them, which the SDK's readers want. */
  List<Column> of(TableSchema schema) {
    return columns.stream().map(field -> schema.getColumn(field.name())).toList();
  }

  /** A client with the keys that `sluice emulator` accepts. */
  Odps odps() {
    Odps odps = new Odps(new AliyunAccount("local", "local-secret"));
    odps.setEndpoint(endpoint);
    odps.setDefaultProject(project);
    if (schema != null) {
      odps.setCurrentSchema(schema);
    }
    return odps;
  }
}
