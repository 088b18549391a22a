import java.util.stream.Collectors;
import software.amazon.awssdk.protocols.jsoncore.JsonNode;

/** Writes JSON as it was read: numbers keep their digits. */
class JsonText {
  static String of(JsonNode node) {
    if (node.isString()) return quoted(node.asString());
    if (node.isObject()) {
      return node.asObject().entrySet().stream().map(e -> quoted(e.getKey()) + ":" + of(e.getValue()))
          .collect(Collectors.joining(",", "{", "}"));
    }
    if (node.isArray()) {
      return node.asArray().stream().map(JsonText::of).collect(Collectors.joining(",", "[", "]"));
    }
    return node.isNumber() ? node.asNumber() : node.isNull() ? "null" : String.valueOf(node.asBoolean());
  }

  static String quoted(String text) {
    var quoted = new StringBuilder("\"");
    text.chars().forEach(c -> {
      if (c == '"' || c == '\\' || c < ' ') quoted.append("\\u%04x".formatted(c));
      else quoted.append((char) c);
    });
    return quoted.append('"').toString();
  }
}
