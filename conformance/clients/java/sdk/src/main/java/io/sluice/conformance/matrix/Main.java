package io.sluice.conformance.matrix;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The Java SDK's adapter of the cross-client matrix.
 *
 * <pre>
 *   write --endpoint URL --project P --table T [--schema S] --form record|arrow|stream   --columns FILE   rows on standard input
 *   read  --endpoint URL --project P --table T [--schema S] --form record|arrow|instance --columns FILE   rows on standard output
 *   jobs                                                                                 many of them, one JVM
 * </pre>
 *
 * <p>Rows are JSON arrays, one per line, values in the matrix's canonical form ({@link Canonical}). FILE holds
 * {@code [{"name":"c1","type":"decimal(10,2)"},…]}. With {@code jobs} each line of standard input is
 * {@code {"args":["read",…],"in":PATH,"out":PATH}} and is answered by one line {@code {"error":null}} or
 * {@code {"error":"text"}} when it is done. Status 1 and a text on standard error tell a failure, status 2 wrong arguments.
 */
public final class Main {
  private Main() {}

  public static void main(String[] args) throws IOException {
    // The SDK prints to standard output here and there; rows must stay alone on it.
    PrintStream out = System.out;
    System.setOut(System.err);
    if (args.length == 1 && args[0].equals("jobs")) {
      serve(System.in, out);
      return;
    }
    try {
      run(List.of(args), System.in, out);
    } catch (IllegalArgumentException e) {
      System.err.println(text(e));
      System.exit(2);
    } catch (Exception e) {
      System.err.println(text(e));
      System.exit(1);
    }
    System.exit(0); // threads of the SDK would keep the JVM
  }

  private static void serve(InputStream in, PrintStream out) throws IOException {
    BufferedReader lines = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      JsonObject answer = new JsonObject();
      try {
        answer.add("error", JsonNull.INSTANCE);
        job(JsonParser.parseString(line).getAsJsonObject());
      } catch (Exception e) {
        answer.addProperty("error", text(e));
      }
      out.println(Canonical.text(answer));
      out.flush();
    }
    System.exit(0);
  }

  private static void job(JsonObject job) throws Exception {
    List<String> args = new ArrayList<>();
    job.getAsJsonArray("args").forEach(arg -> args.add(arg.getAsString()));
    try (InputStream in = job.has("in") ? Files.newInputStream(Path.of(job.get("in").getAsString())) : InputStream.nullInputStream();
        OutputStream out = job.has("out") ? Files.newOutputStream(Path.of(job.get("out").getAsString())) : OutputStream.nullOutputStream()) {
      run(args, in, out);
    }
  }

  private static void run(List<String> args, InputStream in, OutputStream out) throws Exception {
    Job job = Job.parse(args);
    if (job.write()) {
      Forms.write(job, rows(in));
      return;
    }
    PrintWriter lines = new PrintWriter(new BufferedWriter(new OutputStreamWriter(out, StandardCharsets.UTF_8)));
    Forms.read(job, row -> lines.println(Canonical.text(row)));
    lines.flush();
    if (lines.checkError()) {
      throw new IOException("the rows could not be written");
    }
  }

  private static List<JsonArray> rows(InputStream in) throws IOException {
    List<JsonArray> rows = new ArrayList<>();
    BufferedReader lines = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      JsonElement row = JsonParser.parseString(line);
      rows.add(row.getAsJsonArray());
    }
    return rows;
  }

  /** The stack trace, and in a last line of its own what went wrong, from the outermost cause inwards. */
  private static String text(Exception e) {
    StringWriter text = new StringWriter();
    e.printStackTrace(new PrintWriter(text));
    List<String> causes = new ArrayList<>();
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      causes.add(cause.toString().replaceAll("\\s+", " "));
    }
    return text + String.join(", caused by ", causes);
  }
}
