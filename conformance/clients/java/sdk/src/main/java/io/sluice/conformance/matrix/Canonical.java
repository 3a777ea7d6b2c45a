package io.sluice.conformance.matrix;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonPrimitive;
import java.math.BigDecimal;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The matrix's canonical JSON form of single values, in which two clients' rows are compared as text; what each type
 * looks like stands in the matrix's README. Everything is exact: floating point numbers travel as their bits.
 */
final class Canonical {
  private static final Gson GSON = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();
  private static final DateTimeFormatter DATE = DateTimeFormatter.ofPattern("uuuu-MM-dd");
  private static final DateTimeFormatter MILLIS = DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSS");
  private static final DateTimeFormatter NANOS = DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSSSSSSSS");

  private Canonical() {}

  static String text(JsonElement value) {
    return GSON.toJson(value);
  }

  static JsonElement integer(long v) {
    return new JsonPrimitive(Long.toString(v));
  }

  static JsonElement ofDouble(double v) {
    return new JsonPrimitive(Double.isNaN(v) ? "nan" : HexFormat.of().toHexDigits(Double.doubleToRawLongBits(v)));
  }

  static double toDouble(JsonElement v) {
    String text = v.getAsString();
    return text.equals("nan") ? Double.NaN : Double.longBitsToDouble(HexFormat.fromHexDigitsToLong(text));
  }

  static JsonElement ofFloat(float v) {
    return new JsonPrimitive(Float.isNaN(v) ? "nan" : HexFormat.of().toHexDigits(Float.floatToRawIntBits(v)));
  }

  static float toFloat(JsonElement v) {
    String text = v.getAsString();
    return text.equals("nan") ? Float.NaN : Float.intBitsToFloat(HexFormat.fromHexDigits(text));
  }

  /** Digits beyond the scale are no matter of text form but of value: they fail here. */
  static JsonElement decimal(BigDecimal v, int scale) {
    return new JsonPrimitive(v.setScale(scale).toPlainString());
  }

  static JsonElement bytes(byte[] v) {
    return new JsonPrimitive(HexFormat.of().formatHex(v));
  }

  static byte[] toBytes(JsonElement v) {
    return HexFormat.of().parseHex(v.getAsString());
  }

  static JsonElement date(LocalDate v) {
    return new JsonPrimitive(DATE.format(v));
  }

  static LocalDate toDate(JsonElement v) {
    return LocalDate.parse(v.getAsString(), DATE);
  }

  static JsonElement datetime(Instant v) {
    if (v.getNano() % 1_000_000 != 0) {
      throw new IllegalStateException("a DATETIME below the millisecond: " + v);
    }
    return new JsonPrimitive(MILLIS.format(v.atOffset(ZoneOffset.UTC)));
  }

  static Instant toDatetime(JsonElement v) {
    return LocalDateTime.parse(v.getAsString(), MILLIS).toInstant(ZoneOffset.UTC);
  }

  static JsonElement timestamp(Instant v) {
    return wallTime(LocalDateTime.ofInstant(v, ZoneOffset.UTC));
  }

  static JsonElement wallTime(LocalDateTime v) {
    return new JsonPrimitive(NANOS.format(v));
  }

  static LocalDateTime toWallTime(JsonElement v) {
    return LocalDateTime.parse(v.getAsString(), NANOS);
  }

  /** Whole seconds are rounded down, so the nanoseconds are never negative. */
  record Seconds(long seconds, int nanos) {
    static Seconds of(long seconds, long nanos) {
      return new Seconds(Math.addExact(seconds, Math.floorDiv(nanos, 1_000_000_000L)), (int) Math.floorMod(nanos, 1_000_000_000L));
    }
  }

  static JsonElement dayTime(Seconds v) {
    return new JsonPrimitive(String.format("%d.%09d", v.seconds(), v.nanos()));
  }

  static Seconds toDayTime(JsonElement v) {
    String[] parts = v.getAsString().split("\\.", -1);
    if (parts.length != 2 || parts[1].length() != 9) {
      throw new IllegalArgumentException("want seconds.nanoseconds, not " + v);
    }
    return new Seconds(Long.parseLong(parts[0]), Integer.parseInt(parts[1]));
  }

  static JsonElement list(List<JsonElement> v) {
    JsonArray array = new JsonArray();
    v.forEach(array::add);
    return array;
  }

  /** Pairs sorted by the text of their keys; equal keys fail, for no map has them. */
  static JsonElement map(List<Map.Entry<JsonElement, JsonElement>> entries) {
    Map<String, JsonElement> sorted = new TreeMap<>();
    for (Map.Entry<JsonElement, JsonElement> entry : entries) {
      JsonArray pair = new JsonArray();
      pair.add(entry.getKey());
      pair.add(entry.getValue());
      if (sorted.put(text(entry.getKey()), pair) != null) {
        throw new IllegalStateException("a map with the key " + text(entry.getKey()) + " twice");
      }
    }
    return list(List.copyOf(sorted.values()));
  }

  static JsonElement nothing() {
    return JsonNull.INSTANCE;
  }
}
