package io.sluice.conformance.endpoint;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

/**
 * A running {@code sluice emulator}: a process of its own with a data folder of its own, on a free port of this machine.
 * The environment variable SLUICE_BIN names the program, by default {@code bin/sluice} of this repository. What it logs
 * goes to {@code out/java/MODULE/endpoint.log}. {@link #close} ends the process and removes the folder.
 */
public final class Endpoint implements AutoCloseable {
  /** The keys that the program accepts. */
  public static final String ACCESS_ID = "local";
  public static final String ACCESS_KEY = "local-secret";
  /** Every name is a project; the tests use this one. */
  public static final String PROJECT = "conformance";

  private static final AtomicInteger NAMES = new AtomicInteger();

  private final Process process;
  private final Path data;
  private final String url;

  private Endpoint(Process process, Path data, String url) {
    this.process = process;
    this.data = data;
    this.url = url;
  }

  /** Starts the program with further arguments, and waits for its line {@code ready maxcompute=URL}. */
  public static Endpoint start(String... arguments) {
    try {
      Path data = Files.createTempDirectory("sluice-java-");
      List<String> command = new ArrayList<>(List.of(program(), "emulator", "--listen", "127.0.0.1:0", "--data", data.toString()));
      command.addAll(List.of(arguments));
      Process process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.appendTo(log())).start();
      // A JVM that is ended from outside takes the endpoint with it.
      Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
      return new Endpoint(process, data, readyUrl(process, command));
    } catch (IOException e) {
      throw new UncheckedIOException("start the endpoint", e);
    }
  }

  private static String readyUrl(Process process, List<String> command) throws IOException {
    BufferedReader out = new BufferedReader(new java.io.InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
    for (String line = out.readLine(); line != null; line = out.readLine()) {
      for (String word : line.startsWith("ready ") ? line.split(" ") : new String[0]) {
        if (word.startsWith("maxcompute=")) {
          return word.substring("maxcompute=".length());
        }
      }
    }
    throw new IOException(String.join(" ", command) + " ended without a ready line; its words are in " + log());
  }

  private static String program() {
    Path root = Path.of(System.getProperty("repository.root", ".")).toAbsolutePath().normalize();
    String named = System.getenv("SLUICE_BIN");
    Path program = root.resolve(named == null || named.isEmpty() ? "bin/sluice" : named);
    if (!Files.isExecutable(program)) {
      throw new IllegalStateException(program + " is no program: run make bin/sluice, or set SLUICE_BIN");
    }
    return program.toString();
  }

  private static File log() {
    return new File(System.getProperty("endpoint.log", "endpoint.log"));
  }

  /** The address that clients are pointed at, {@code http://127.0.0.1:PORT/api}. */
  public String url() {
    return url;
  }

  /** A name that no other test of this JVM uses. */
  public static String unique(String prefix) {
    return prefix + "_" + NAMES.incrementAndGet();
  }

  @Override
  public void close() throws IOException {
    process.destroy();
    int status;
    try {
      if (!process.waitFor(20, TimeUnit.SECONDS)) {
        process.destroyForcibly();
        throw new IOException("the endpoint did not end within 20 s of SIGTERM");
      }
      status = process.exitValue();
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
      throw new IOException("wait for the endpoint's end", e);
    }
    if (status != 0) {
      throw new IOException("the endpoint ended with status " + status + "; its words are in " + log());
    }
    try (Stream<Path> files = Files.walk(data)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }
}
