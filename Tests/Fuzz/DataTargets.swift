import Model
import Samples

struct PostgreSQLTarget: L7Target {
    static let (name, proto) = ("postgresql", L7Protocol.postgresql)

    static var conversations: [[(fromServer: Bool, payload: [UInt8])]] {
        typealias D = SampleData
        return [
            [
                (false, D.be32(8) + D.be32(80_877_103)), (true, [78]), (false, D.startup),
                (false, D.query("select 1; select 2")),
                (true, D.row(40) + D.complete("SELECT 1") + D.row(9) + D.complete("SELECT 2") + D.ready),
                (false, D.query("bad")), (true, D.failure("42601") + D.ready),
            ],
            [
                (false, D.prepare("insert into t values ($1)") + D.bind + D.execute + D.bind + D.execute + D.sync),
                (true, D.postgres("1") + D.postgres("2") + D.complete("INSERT 0 1") + D.row(2000).prefix(700)),
                (true, [UInt8](repeating: 120, count: 1311) + D.failure("23505") + D.ready),
            ],
        ]
    }
}

struct KafkaTarget: L7Target {
    static let (name, proto) = ("kafka", L7Protocol.kafka)

    static var conversations: [[(fromServer: Bool, payload: [UInt8])]] {
        typealias D = SampleData
        let batch = D.recordBatch([("traceparent", "00-aa-bb-01"), ("sw8", "1-YQ==-Yg==-3")])
        let produce =
            D.be16(0xffff) + D.be16(1) + D.be32(100) + D.be32(1) + D.kafkaText("t") + D.be32(1) + D.be32(0)
            + D.be32(batch.count) + batch
        let fetch =
            [UInt8](repeating: 0, count: 25) + [2] + D.compact("t") + [2] + D.be32(3) + D.be32(0) + D.be64(7)
            + [UInt8](repeating: 0, count: 16) + [0, 0, 1, 1, 0]
        return [
            [
                (false, D.kafkaRequest(18, 3, 1, [0] + D.compact("a") + D.compact("1") + [0])),
                (true, D.kafkaResponse(1, [0, 0, 1])), (false, D.kafkaRequest(0, 7, 2, produce)),
                (
                    true,
                    D.kafkaResponse(
                        2, D.be32(1) + D.kafkaText("t") + D.be32(1) + D.be32(4) + [0, 0] + D.be64(9) + D.be64(1))
                ),
            ],
            [
                (false, D.kafkaRequest(1, 12, 3, [0] + fetch) + D.kafkaRequest(3, 9, 4, [0])),
                (true, D.kafkaResponse(3, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]) + D.kafkaResponse(4, [1])),
                (false, D.kafkaRequest(11, 7, 5, [0] + D.compact("g"))),
                (true, D.kafkaResponse(5, [0, 0, 0, 0, 0, 0, 25])),
            ],
        ]
    }
}

struct MQTTTarget: L7Target {
    static let (name, proto) = ("mqtt", L7Protocol.mqtt)

    static var conversations: [[(fromServer: Bool, payload: [UInt8])]] {
        typealias D = SampleData
        let subscribe = D.mqtt(0x82, D.be16(7) + D.kafkaText("a/#") + [1] + D.kafkaText("b") + [0])
        return [4, 5, 3].map { level in
            [
                (false, D.connect(level, name: level == 3 ? "MQIsdp" : "MQTT")),
                (true, D.mqtt(0x20, level == 5 ? [0, 0, 0] : [0, 0])),
                (false, subscribe + D.publish("x", qos: 1, id: 1) + D.publish("y", qos: 2, id: 2)),
                (true, D.mqtt(0x90, D.be16(7) + [1, 0]) + D.acknowledge(4, 1) + D.acknowledge(5, 2)),
                (false, D.acknowledge(6, 2) + D.publish("z", [UInt8](repeating: 9, count: 300)) + [0xc0, 0]),
                (true, D.acknowledge(7, 2) + [0xd0, 0] + D.publish("a/b", qos: 1, id: 1)),
                (false, D.acknowledge(4, 1) + [0xe0, 0]),
            ]
        }
    }
}

struct MemcachedTarget: L7Target {
    static let (name, proto) = ("memcached", L7Protocol.memcached)

    static var conversations: [[(fromServer: Bool, payload: [UInt8])]] {
        typealias D = SampleData
        let get: [UInt8] = [0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1] + [UInt8](repeating: 7, count: 12) + [107]
        let found: [UInt8] =
            [0x81, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 6] + [UInt8](repeating: 7, count: 12) + [0, 0, 0, 0, 1, 2]
        return [
            [
                (false, D.text("set a 0 0 3\r\nabc\r\nget a b\r\n")),
                (true, D.text("STORED\r\nVALUE a 0 3\r\nabc\r\nVALUE b 0 1\r\nx\r\nEND\r\n")),
                (false, D.text("incr a 5\r\nstats\r\ndelete a noreply\r\ntouch a 1\r\n")),
                (true, D.text("CLIENT_ERROR no number\r\nSTAT pid 1\r\nEND\r\nNOT_FOUND\r\n")),
            ],
            [(false, get + get), (true, found + found)],
        ]
    }
}

struct MongoDBTarget: L7Target {
    static let (name, proto) = ("mongodb", L7Protocol.mongodb)

    static var conversations: [[(fromServer: Bool, payload: [UInt8])]] {
        typealias D = SampleData
        let values = D.bson([
            D.element(1, "d", [0, 0, 0, 0, 0, 0, 0xf8, 0x3f]), D.bsonText("s", "x"),
            D.element(4, "l", D.bson([D.bsonInt("0", 1)])),
            D.element(5, "b", D.le32(3) + [0, 1, 2, 3]), D.element(7, "o", [UInt8](repeating: 1, count: 12)),
            D.element(9, "t", [UInt8](repeating: 2, count: 8)), D.element(19, "n", [UInt8](repeating: 0x30, count: 16)),
            D.element(11, "r", D.cString("a") + D.cString("i")),
        ])
        return [
            [
                (false, D.mongo(2004, 1, D.le32(0) + D.cString("admin.$cmd") + D.le32(0) + D.le32(1) + values)),
                (true, D.mongo(1, 9, to: 1, D.le32(8) + [UInt8](repeating: 0, count: 16) + values)),
                (false, D.mongoMessage(2, values)),
                (true, D.mongoMessage(10, to: 2, D.bson([D.bsonText("errmsg", "no"), D.bsonInt("code", 59)]))),
            ],
            [
                (false, D.mongo(2002, 3, D.le32(0) + D.cString("a.b") + values)),
                (false, D.mongo(2001, 4, D.le32(0) + D.cString("a.b") + D.le32(0) + values)),
                (false, D.mongo(2005, 5, D.le32(0) + D.cString("a.b") + D.le32(1) + D.le32(0) + D.le32(0))),
                (false, D.mongo(2013, 6, D.le32(0) + [1] + D.le32(10) + D.cString("docs") + [0] + [0] + values)),
            ],
        ]
    }
}
