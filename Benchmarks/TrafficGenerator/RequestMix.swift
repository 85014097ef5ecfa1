import ArgumentParser

/// Connections that carry requests of HTTP/1, MySQL or Redis and their answers. Each request is one segment, so is each
/// answer; the summary tells how many requests of each protocol and how many failures a reader of the file has to find.
struct RequestMix {
    enum Kind: String, ExpressibleByArgument, CaseIterable { case http, mysql, redis, mix }

    private enum Application: Int { case http, mysql, redis }

    private struct Connection {
        var application: Application
        var ends: Ends
        var clientSequence: UInt32
        var serverSequence: UInt32
    }

    /// MySQL's opening counts as one request (the login), as dftop counts it.
    private var counts = [0, 0, 0]
    private var failures = [0, 0, 0]
    private var logins = 0

    private var random: Random
    private let texts: Texts
    private var connections: [Connection] = []
    private var schedule = Schedule()
    private let spanUs: Int

    init(seed: UInt64, requests: Int, kind: Kind, seconds: Int) {
        random = Random(seed: seed)
        texts = Texts(random: &random)
        spanUs = seconds * 1_000_000
        let shares =
            switch kind {
            case .http: [1, 0, 0]
            case .mysql: [0, 1, 0]
            case .redis: [0, 0, 1]
            case .mix: [60, 20, 20]
            }
        schedule.reserve(requests * 4)
        let total = shares.reduce(0, +)
        var left = shares.map { requests * $0 / total }
        left[shares.firstIndex { $0 > 0 } ?? 0] += requests - left.reduce(0, +)
        for application in [Application.http, .mysql, .redis] {
            while left[application.rawValue] > 0 {
                left[application.rawValue] -= planConnection(application, atMost: left[application.rawValue])
            }
        }
    }

    // MARK: Planning

    /// Plans one connection and returns how many requests it carries.
    private mutating func planConnection(_ application: Application, atMost: Int) -> Int {
        let index = connections.count
        let wanted: Int
        switch application {
        case .http: wanted = random.chance(500) ? 1 : random.within(2...100)
        case .mysql: wanted = random.within(10...400)
        case .redis: wanted = random.within(10...500)
        }
        let count = min(wanted, atMost)
        connections.append(drawConnection(application, index))
        // At most half a second of the capture's room a request, so that every connection ends before the capture.
        var time = random.below(spanUs / 2)
        let room = (spanUs - 1_000_000 - time) / (count + 4)
        let rtt = min(room / 4, [100, 400, 2000][random.pick([500, 300, 200])]) + 1

        schedule.add(atUs: time, flow: index, .syn)
        schedule.add(atUs: time + rtt, flow: index, .synAck)
        schedule.add(atUs: time + rtt + 10, flow: index, .clientAck)
        time += rtt + 20
        if application == .mysql {
            // Greeting, login, OK: messages 0, 1 and 0 of length 0.
            schedule.add(atUs: time, flow: index, .serverHead)
            schedule.add(atUs: time + rtt, flow: index, .clientData, length: 0xffff)
            schedule.add(atUs: time + 2 * rtt, flow: index, .serverData, length: 0xffff)
            time += 2 * rtt + 50
            logins += 1
        }
        for _ in 0..<count {
            let number = random.below(0xfffe)
            let outcome = random.below(1000)
            schedule.add(atUs: time, flow: index, .clientData, length: number, extra: outcome)
            time += min(room / 2, rtt + random.within(50...20_000)) + 1
            schedule.add(atUs: time, flow: index, .serverData, length: number, extra: outcome)
            if random.chance(300) { schedule.add(atUs: time + 5, flow: index, .clientAck) }
            time += min(room / 3, random.within(100...30_000)) + 10
            counts[application.rawValue] += 1
            if isFailure(application, outcome) { failures[application.rawValue] += 1 }
        }
        if application == .mysql { schedule.add(atUs: time, flow: index, .clientData, length: 0xfffe) }
        schedule.add(atUs: time + 10, flow: index, .clientFin)
        schedule.add(atUs: time + 10 + rtt, flow: index, .serverFin)
        schedule.add(atUs: time + 20 + rtt, flow: index, .clientAck)
        return count
    }

    private mutating func drawConnection(_ application: Application, _ index: Int) -> Connection {
        let ports: [UInt16] = [80, 3306, 6379]
        return Connection(
            application: application,
            ends: Ends(
                isIPv6: false, client: .init(high: 0, low: 0x0a00_0000 + 256 + UInt64(index / 60_000)),
                server: .init(high: 0, low: 0x0a80_0000 + 1 + UInt64(random.below(50))),
                clientPort: UInt16(1024 + index % 60_000), serverPort: ports[application.rawValue]),
            clientSequence: UInt32(truncatingIfNeeded: random.next()),
            serverSequence: UInt32(truncatingIfNeeded: random.next()))
    }

    /// 7 % of HTTP (5 % 404, 2 % 500), 2 % of MySQL, 1 % of Redis.
    private func isFailure(_ application: Application, _ outcome: Int) -> Bool {
        outcome < [70, 20, 10][application.rawValue]
    }

    // MARK: Writing

    func write(to writer: inout PcapWriter) throws {
        // A copy of its own, or every packet would copy all of them.
        var connections = connections
        try schedule.replay { time, entry in
            try write(entry, atUs: time, &connections[entry.flow], to: &writer)
        }
    }

    private func write(
        _ entry: Schedule.Entry, atUs time: UInt64, _ connection: inout Connection, to writer: inout PcapWriter
    ) throws {
        let fromClient: Bool
        let flags: UInt8
        var payload: [UInt8] = []
        switch entry.step {
        case .syn: (fromClient, flags) = (true, Flags.syn)
        case .synAck: (fromClient, flags) = (false, Flags.syn | Flags.ack)
        case .clientFin: (fromClient, flags) = (true, Flags.fin | Flags.ack)
        case .serverFin: (fromClient, flags) = (false, Flags.fin | Flags.ack)
        case .clientData:
            (fromClient, flags) = (true, Flags.psh | Flags.ack)
            payload = request(connection.application, entry.length, entry.extra)
        case .serverHead:
            (fromClient, flags) = (false, Flags.psh | Flags.ack)
            payload = MySQLTexts.greeting
        case .serverData:
            (fromClient, flags) = (false, Flags.psh | Flags.ack)
            payload = answer(connection.application, entry.length, entry.extra)
        default: (fromClient, flags) = (true, Flags.ack)
        }
        try payload.withUnsafeBytes {
            try writer.tcp(
                atUs: time, connection.ends, fromClient: fromClient,
                sequence: fromClient ? connection.clientSequence : connection.serverSequence,
                acknowledge: fromClient ? connection.serverSequence : connection.clientSequence, flags: flags,
                payload: $0)
        }
        let length = UInt32(payload.count) + (flags & (Flags.syn | Flags.fin) != 0 ? 1 : 0)
        if fromClient { connection.clientSequence &+= length } else { connection.serverSequence &+= length }
    }

    private func request(_ application: Application, _ number: Int, _ outcome: Int) -> [UInt8] {
        switch application {
        case .http: return texts.httpRequests[number & 255]
        case .mysql:
            switch number {
            case 0xffff: return MySQLTexts.login
            case 0xfffe: return MySQLTexts.packet([1], sequence: 0)
            default: return MySQLTexts.query(number)
            }
        case .redis: return RedisTexts.command(number, fails: isFailure(.redis, outcome))
        }
    }

    private func answer(_ application: Application, _ number: Int, _ outcome: Int) -> [UInt8] {
        switch application {
        case .http:
            let status = outcome < 50 ? 2 : outcome < 70 ? 3 : 0
            let length = 40 + number % 900
            return Texts.httpHead(status: status, length: length) + texts.noise[number..<number + length]
        case .mysql:
            return number == 0xffff
                ? MySQLTexts.ok(sequence: 2, rows: 0) : MySQLTexts.answer(number, fails: isFailure(.mysql, outcome))
        case .redis: return RedisTexts.answer(number, fails: isFailure(.redis, outcome))
        }
    }

    var summary: [(String, Int)] {
        [
            ("connections", connections.count), ("http_requests", counts[0]), ("http_failures", failures[0]),
            ("mysql_requests", counts[1]), ("mysql_failures", failures[1]), ("mysql_logins", logins),
            ("redis_requests", counts[2]), ("redis_failures", failures[2]),
        ]
    }
}

/// Messages of the MySQL client/server protocol, version 10, without TLS or compression.
enum MySQLTexts {
    static func packet(_ body: [UInt8], sequence: UInt8) -> [UInt8] {
        [UInt8(body.count & 255), UInt8(body.count >> 8 & 255), UInt8(body.count >> 16), sequence] + body
    }

    static let greeting = packet(
        [10] + Array("8.0.36".utf8) + [0, 7, 0, 0, 0] + Array("saltsalt".utf8) + [0, 0xff, 0xf7, 33, 2, 0, 0xff, 0xc1]
            + [21] + Array(repeating: 0, count: 10) + Array("saltsaltsalt".utf8) + [0]
            + Array("mysql_native_password".utf8) + [0],
        sequence: 0)

    /// Capabilities: protocol 4.1, secure connection, plugin authentication, connect with database.
    static let login = packet(
        [0x08, 0x82, 0x08, 0, 0, 0, 0, 1, 33] + Array(repeating: 0, count: 23) + Array("bench".utf8) + [0, 20]
            + Array(repeating: 0x5a, count: 20) + Array("shop".utf8) + [0] + Array("mysql_native_password".utf8) + [0],
        sequence: 1)

    static func query(_ number: Int) -> [UInt8] {
        let text =
            switch number % 10 {
            case 0: "INSERT INTO orders (id, total) VALUES (\(number), \(number % 1000))"
            case 1: "UPDATE stock SET amount = amount - 1 WHERE item = \(number)"
            default: "SELECT name, price FROM items WHERE id = \(number)"
            }
        return packet([3] + Array(text.utf8), sequence: 0)
    }

    static func ok(sequence: UInt8, rows: UInt8) -> [UInt8] { packet([0, rows, 0, 2, 0, 0, 0], sequence: sequence) }

    static func answer(_ number: Int, fails: Bool) -> [UInt8] {
        if fails {
            return packet([0xff, 0x7a, 0x04] + Array("#42S02Table 'shop.items' doesn't exist".utf8), sequence: 1)
        }
        guard number % 10 > 1 else { return ok(sequence: 1, rows: 1) }
        func lenenc(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + Array(text.utf8) }
        func column(_ name: String, sequence: UInt8) -> [UInt8] {
            packet(
                lenenc("def") + lenenc("shop") + lenenc("items") + lenenc("items") + lenenc(name) + lenenc(name)
                    + [12, 33, 0, 255, 0, 0, 0, 253, 0, 0, 0, 0, 0], sequence: sequence)
        }
        let end: [UInt8] = [0xfe, 0, 0, 2, 0]
        return packet([2], sequence: 1) + column("name", sequence: 2) + column("price", sequence: 3)
            + packet(end, sequence: 4) + packet(lenenc("item \(number)") + lenenc("\(number % 500)"), sequence: 5)
            + packet(end, sequence: 6)
    }
}

/// Commands of Redis in RESP 2.
enum RedisTexts {
    static func command(_ number: Int, fails: Bool) -> [UInt8] {
        let words: [String] =
            if fails {
                ["INCR", "text:\(number % 100)"]
            } else {
                switch number % 5 {
                case 0: ["SET", "key:\(number)", "value-\(number)"]
                case 1: ["INCR", "counter:\(number % 100)"]
                case 2: ["HGETALL", "hash:\(number % 1000)"]
                default: ["GET", "key:\(number)"]
                }
            }
        return Array(("*\(words.count)\r\n" + words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()).utf8)
    }

    static func answer(_ number: Int, fails: Bool) -> [UInt8] {
        if fails { return Array("-ERR value is not an integer or out of range\r\n".utf8) }
        let text =
            switch number % 5 {
            case 0: "+OK\r\n"
            case 1: ":\(number)\r\n"
            case 2: "*2\r\n$4\r\nname\r\n$5\r\nvalue\r\n"
            default: "$\("value-\(number)".utf8.count)\r\nvalue-\(number)\r\n"
            }
        return Array(text.utf8)
    }
}
