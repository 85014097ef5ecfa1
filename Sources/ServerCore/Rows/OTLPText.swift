import Model
import Wire

/// Texts of OpenTelemetry values as the rows hold them. Source: ingester.md 5.3.
enum OTLPText {
    /// A string as it is; everything else in the text form of protobuf, behind the name of its field. An empty string is
    /// two quotes.
    static func attribute(_ value: OTLPValue) -> String {
        switch value {
        case .string(let text) where !text.isEmpty: return text
        default: return field(value)?.text ?? ""
        }
    }

    private static func field(_ value: OTLPValue) -> (name: String, text: String)? {
        switch value {
        case .none: nil
        case .string(let text): ("string_value", quoted(Array(text.utf8)))
        case .bool(let value): ("bool_value", value ? "true" : "false")
        case .int(let value): ("int_value", "\(value)")
        case .double(let value): ("double_value", GoText.number(value))
        case .array(let values):
            ("array_value", "{" + values.map { "values:\(message($0))" }.joined(separator: " ") + "}")
        case .list(let pairs): ("kvlist_value", "{" + pairs.map { "values:\(pair($0))" }.joined(separator: " ") + "}")
        case .bytes(let bytes): ("bytes_value", quoted(bytes))
        }
    }

    private static func message(_ value: OTLPValue) -> String {
        field(value).map { "{\($0.name):\($0.text)}" } ?? "{}"
    }

    private static func pair(_ attribute: OTLPAttribute) -> String {
        var parts: [String] = []
        if !attribute.key.isEmpty { parts.append("key:" + quoted(Array(attribute.key.utf8))) }
        if let value = attribute.value { parts.append("value:" + message(value)) }
        return "{" + parts.joined(separator: " ") + "}"
    }

    private static func quoted(_ bytes: [UInt8]) -> String {
        var out: [UInt8] = [UInt8(ascii: "\"")]
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): out += [UInt8(ascii: "\\"), byte]
            case 10: out += "\\n".utf8
            case 13: out += "\\r".utf8
            case 9: out += "\\t".utf8
            case ..<32, 127: out += ("\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)).utf8
            default: out.append(byte)
            }
        }
        out.append(UInt8(ascii: "\""))
        return String(decoding: out, as: UTF8.self)
    }

    /// The JSON of a span's events; `null` for none. Members that are zero or empty are left out.
    static func events(_ events: [OTLPEvent]) -> String {
        guard !events.isEmpty else { return "null" }
        let objects = events.map { event -> String in
            var members: [String] = []
            if event.timeNs != 0 { members.append("\"time_unix_nano\":\(event.timeNs)") }
            if !event.name.isEmpty { members.append("\"name\":" + GoText.json(event.name)) }
            if !event.attributes.isEmpty {
                members.append("\"attributes\":[" + event.attributes.map(json).joined(separator: ",") + "]")
            }
            if event.droppedAttributes != 0 {
                members.append("\"dropped_attributes_count\":\(event.droppedAttributes)")
            }
            return "{" + members.joined(separator: ",") + "}"
        }
        return "[" + objects.joined(separator: ",") + "]"
    }

    private static func json(_ attribute: OTLPAttribute) -> String {
        var members: [String] = []
        if !attribute.key.isEmpty { members.append("\"key\":" + GoText.json(attribute.key)) }
        if let value = attribute.value { members.append("\"value\":" + json(value)) }
        return "{" + members.joined(separator: ",") + "}"
    }

    private static func json(_ value: OTLPValue) -> String {
        let inner =
            switch value {
            case .none: "null"
            case .string(let text): "{\"StringValue\":\(GoText.json(text))}"
            case .bool(let value): "{\"BoolValue\":\(value)}"
            case .int(let value): "{\"IntValue\":\(value)}"
            case .double(let value): "{\"DoubleValue\":\(GoText.jsonNumber(value))}"
            case .array(let values):
                "{\"ArrayValue\":{" + (values.isEmpty ? "" : "\"values\":[\(values.map(json).joined(separator: ","))]")
                    + "}}"
            case .list(let pairs):
                "{\"KvlistValue\":{" + (pairs.isEmpty ? "" : "\"values\":[\(pairs.map(json).joined(separator: ","))]")
                    + "}}"
            case .bytes(let bytes): "{\"BytesValue\":\"\(GoText.base64(bytes))\"}"
            }
        return "{\"Value\":\(inner)}"
    }
}
