package io.sluice.conformance.matrix;

import com.aliyun.odps.Odps;
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
record Job(boolean write, String endpoint, String project, String schema, String table, String form, List<TypeInfo> types) {

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
        types(Path.of(take(flags, "--columns"))));
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

  private static List<TypeInfo> types(Path columns) throws IOException {
    List<TypeInfo> types = new ArrayList<>();
    for (JsonElement column : JsonParser.parseString(Files.readString(columns)).getAsJsonArray()) {
      types.add(TypeInfoParser.getTypeInfoFromTypeString(column.getAsJsonObject().get("type").getAsString()));
    }
    return types;
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
