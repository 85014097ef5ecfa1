/// Bytes of database and message protocols, made by hand from their public descriptions.
package enum SampleData {
    package static func be16(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }
    package static func be32(_ value: Int) -> [UInt8] { be16(value >> 16 & 0xffff) + be16(value & 0xffff) }
    package static func be64(_ value: Int) -> [UInt8] { be32(value >> 32 & 0xffff_ffff) + be32(value & 0xffff_ffff) }
    package static func le32(_ value: Int) -> [UInt8] { be32(value).reversed() }
    package static func text(_ value: String) -> [UInt8] { Array(value.utf8) }
    /// With the NUL.
    package static func cString(_ value: String) -> [UInt8] { text(value) + [0] }

    // MARK: - PostgreSQL

    package static func postgres(_ tag: Character, _ body: [UInt8] = []) -> [UInt8] {
        text(String(tag)) + be32(body.count + 4) + body
    }

    package static func query(_ sql: String) -> [UInt8] { postgres("Q", cString(sql)) }
    package static func prepare(_ sql: String, name: String = "") -> [UInt8] {
        postgres("P", cString(name) + cString(sql) + [0, 0])
    }
    package static let bind = postgres("B", [0, 0, 0, 0, 0, 0, 0, 0])
    package static let execute = postgres("E", [0, 0, 0, 0, 0])
    package static let sync = postgres("S")
    package static func complete(_ tag: String) -> [UInt8] { postgres("C", cString(tag)) }
    package static let ready = postgres("Z", [73])
    package static func failure(_ state: String) -> [UInt8] {
        postgres("E", cString("SERROR") + cString("VERROR") + cString("C" + state) + cString("Mwrong") + [0])
    }
    /// A row of one column.
    package static func row(_ bytes: Int) -> [UInt8] {
        postgres("D", [0, 1] + be32(bytes) + [UInt8](repeating: 120, count: bytes))
    }
    package static let startup = be32(17) + be32(196_608) + cString("user") + cString("me") + [0]

    // MARK: - Kafka

    package static func kafkaText(_ value: String) -> [UInt8] { be16(value.utf8.count) + text(value) }
    package static func compact(_ value: String) -> [UInt8] { [UInt8(value.utf8.count + 1)] + text(value) }

    package static func kafkaRequest(
        _ key: Int, _ version: Int, _ id: Int, _ body: [UInt8] = [], client: String = "c1"
    ) -> [UInt8] {
        let content = be16(key) + be16(version) + be32(id) + kafkaText(client) + body
        return be32(content.count) + content
    }

    package static func kafkaResponse(_ id: Int, _ body: [UInt8] = []) -> [UInt8] {
        be32(body.count + 4) + be32(id) + body
    }

    /// Zig-zag, up to 14 bits.
    package static func varint(_ value: Int) -> [UInt8] {
        let number = value < 0 ? -value * 2 - 1 : value * 2
        return number < 128 ? [UInt8(number)] : [UInt8(number & 127 | 128), UInt8(number >> 7)]
    }

    /// A batch with one record and its headers.
    package static func recordBatch(_ headers: [(name: String, value: String)], hasKey: Bool = true) -> [UInt8] {
        var record: [UInt8] = [0] + varint(0) + varint(0) + (hasKey ? varint(1) + text("k") : varint(-1))
        record += varint(2) + text("vv") + varint(headers.count)
        for header in headers {
            record += varint(header.name.utf8.count) + text(header.name)
            record += varint(header.value.utf8.count) + text(header.value)
        }
        let content = varint(record.count) + record
        return be64(0) + be32(49 + content.count) + be32(0) + [2] + be32(0) + [0, 0] + be32(0) + be64(1) + be64(1)
            + be64(-1) + be16(0xffff) + be32(-1) + be32(1) + content
    }

    // MARK: - MQTT

    /// Remaining length of at most 14 bits.
    package static func mqtt(_ first: UInt8, _ body: [UInt8]) -> [UInt8] {
        let length: [UInt8] =
            body.count < 128 ? [UInt8(body.count)] : [UInt8(body.count & 127 | 128), UInt8(body.count >> 7)]
        return [first] + length + body
    }

    package static func connect(_ level: UInt8 = 4, client: String = "me", name: String = "MQTT") -> [UInt8] {
        mqtt(
            0x10, kafkaText(name) + [level, 2, 0, 60] + (level == 5 ? [5, 0x11, 0, 0, 0, 9] : []) + kafkaText(client))
    }

    package static func publish(
        _ topic: String, qos: UInt8 = 0, id: Int = 0, _ content: [UInt8] = [1, 2]
    ) -> [UInt8] {
        mqtt(0x30 | qos << 1, kafkaText(topic) + (qos > 0 ? be16(id) : []) + content)
    }

    /// PUBACK 4, PUBREC 5, PUBREL 6, PUBCOMP 7.
    package static func acknowledge(_ kind: UInt8, _ id: Int) -> [UInt8] {
        mqtt(kind << 4 | (kind == 6 ? 2 : 0), be16(id))
    }

    // MARK: - MongoDB

    package static func bson(_ elements: [[UInt8]]) -> [UInt8] {
        let content: [UInt8] = Array(elements.joined()) + [0]
        return le32(content.count + 4) + content
    }

    package static func element(_ type: UInt8, _ key: String, _ value: [UInt8]) -> [UInt8] {
        [type] + cString(key) + value
    }

    package static func bsonText(_ key: String, _ value: String) -> [UInt8] {
        element(2, key, le32(value.utf8.count + 1) + cString(value))
    }

    package static func bsonInt(_ key: String, _ value: Int) -> [UInt8] { element(16, key, le32(value)) }

    package static func mongo(_ opcode: Int, _ id: Int, to: Int = 0, _ body: [UInt8]) -> [UInt8] {
        le32(body.count + 16) + le32(id) + le32(to) + le32(opcode) + body
    }

    package static func mongoMessage(_ id: Int, to: Int = 0, flags: Int = 0, _ document: [UInt8]) -> [UInt8] {
        mongo(2013, id, to: to, le32(flags) + [0] + document)
    }
}
