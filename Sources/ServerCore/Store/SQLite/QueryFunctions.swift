import CSQLite
import Model

/// Functions that queries may use to read numbers as a person does.
enum QueryFunctions {
    /// `ip_text(ip4_0)`, `mac_text(mac_0)`, `time_text(time)` (seconds or microseconds), `enum_text('l7_protocol', 20)`.
    static func register(on connection: SQLiteConnection) {
        add(connection, "ip_text", 1) { context, arguments in
            guard let value = arguments?[0] else { return }
            switch sqlite3_value_type(value) {
            case SQLITE_INTEGER:
                result(context, IPAddress.text4(UInt32(truncatingIfNeeded: sqlite3_value_int64(value))))
            case SQLITE_BLOB:
                let bytes = UnsafeRawBufferPointer(
                    start: sqlite3_value_blob(value), count: Int(sqlite3_value_bytes(value)))
                if let address = IPAddress(octets: bytes) { result(context, address.text(v6: true)) }
            default: break
            }
        }
        add(connection, "mac_text", 1) { context, arguments in
            guard let value = arguments?[0] else { return }
            result(context, macText(UInt64(bitPattern: sqlite3_value_int64(value))))
        }
        add(connection, "time_text", 1) { context, arguments in
            guard let value = arguments?[0] else { return }
            let number = UInt64(clamping: sqlite3_value_int64(value))
            // Seconds until the year 5138, microseconds above.
            result(context, timeText(micros: number < 100_000_000_000 ? number * 1_000_000 : number))
        }
        add(connection, "enum_text", 2) { context, arguments in
            guard let name = arguments?[0], let value = arguments?[1], let start = sqlite3_value_text(name) else {
                return
            }
            let column = String(cString: start)
            let number = UInt64(clamping: sqlite3_value_int64(value))
            if let text = ColumnEnumeration(column: column)?.name(of: number) { result(context, text) }
        }
    }

    private static func add(_ connection: SQLiteConnection, _ name: String, _ count: Int32, _ body: @escaping Body) {
        let box = Unmanaged.passRetained(BodyBox(body))
        sqlite3_create_function_v2(
            connection.handle, name, count, SQLITE_UTF8 | SQLITE_DETERMINISTIC, box.toOpaque(),
            { context, _, arguments in
                guard let data = sqlite3_user_data(context) else { return }
                Unmanaged<BodyBox>.fromOpaque(data).takeUnretainedValue().body(context, arguments)
            }, nil, nil,
            { data in
                if let data { Unmanaged<BodyBox>.fromOpaque(data).release() }
            })
    }

    private typealias Body = (OpaquePointer?, UnsafeMutablePointer<OpaquePointer?>?) -> Void

    private final class BodyBox {
        let body: Body
        init(_ body: @escaping Body) { self.body = body }
    }

    private static func result(_ context: OpaquePointer?, _ text: String) {
        var text = text
        text.withUTF8 { bytes in
            sqlite3_result_text(
                context, UnsafeRawPointer(bytes.baseAddress)?.assumingMemoryBound(to: CChar.self),
                Int32(clamping: bytes.count), transient)
        }
    }
}
