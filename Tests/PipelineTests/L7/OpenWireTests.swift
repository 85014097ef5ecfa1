import Model
import Testing

@testable import Pipeline

/// OpenWire by the specification of Apache ActiveMQ: commands made by hand in both encodings.
@Suite struct OpenWireTests {
    static func be16(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }
    static func be32(_ value: Int) -> [UInt8] { be16(value >> 16 & 0xffff) + be16(value & 0xffff) }
    static func text(_ text: String) -> [UInt8] { be16(text.utf8.count) + Array(text.utf8) }

    static func frame(_ type: UInt8, _ body: [UInt8]) -> [UInt8] { be32(1 + body.count) + [type] + body }

    static func wireFormat(tight: Bool, cache: Bool = false, version: Int = 12) -> [UInt8] {
        let flags = [("TightEncodingEnabled", tight), ("SizePrefixDisabled", false), ("CacheEnabled", cache)]
        var map = be32(flags.count)
        for (name, value) in flags { map += text(name) + [1, value ? 1 : 0] }
        var body = Array("ActiveMQ".utf8) + be32(version)
        body += [1] + be32(map.count) + map
        return frame(1, body)
    }

    /// Both kinds of body of one command.
    struct Writer {
        let tight: Bool
        var bits: [Bool] = []
        var data: [UInt8] = []

        mutating func bool(_ value: Bool) { if tight { bits.append(value) } else { data.append(value ? 1 : 0) } }

        mutating func header(_ id: Int, needsResponse: Bool = false) {
            data += be32(id)
            bool(needsResponse)
        }

        mutating func string(_ value: String?) {
            bool(value != nil)
            guard let value else { return }
            if tight { bits.append(true) }
            data += text(value)
        }

        mutating func long(_ value: UInt16) {
            guard tight else {
                data += [0, 0, 0, 0, 0, 0] + be16(Int(value))
                return
            }
            bits += [false, value != 0]
            if value != 0 { data += be16(Int(value)) }
        }

        /// An object that is there, or not.
        mutating func object(_ type: UInt8?) {
            bool(type != nil)
            if let type { data.append(type) }
            if tight, let type, (23...29).contains(type) { bits.append(false) }
        }

        mutating func producer() {
            object(123)
            string("ID:p")
            long(1)
            long(0)
        }

        mutating func queue(_ name: String) {
            object(100)
            string(name)
        }

        func frame(_ type: UInt8) -> [UInt8] {
            guard tight else { return OpenWireTests.frame(type, data) }
            var bytes = [UInt8](repeating: 0, count: (bits.count + 7) / 8)
            for (number, bit) in bits.enumerated() where bit { bytes[number / 8] |= 1 << UInt8(number % 8) }
            return OpenWireTests.frame(type, [UInt8(bytes.count)] + bytes + data)
        }
    }

    static func textMessage(_ tight: Bool, id: Int, needsResponse: Bool = true) -> [UInt8] {
        var writer = Writer(tight: tight)
        messageFields(&writer, id: id, needsResponse: needsResponse)
        writer.data += be32(7) + Array("content".utf8)
        writer.data += text("sw8") + [9] + text("1-dHJhY2U=-c2Vn-3")
        return writer.frame(28)
    }

    static func messageFields(_ writer: inout Writer, id: Int, needsResponse: Bool) {
        writer.header(id, needsResponse: needsResponse)
        writer.producer()
        writer.queue("orders")
        writer.object(nil)
        writer.object(nil)
        writer.object(110)
        writer.string(nil)
        writer.producer()
        writer.long(1)
        writer.long(0)
        writer.object(nil)
        writer.string(nil)
        writer.data += be32(0)
        writer.string("corr-1")
    }

    /// A parser that has seen both offers.
    static func bench(tight: Bool, version: Int = 12) -> L7ParserTests.Bench {
        var bench = L7ParserTests.Bench(.openWire)
        _ = bench.feed(wireFormat(tight: tight, version: version))
        _ = bench.feed(wireFormat(tight: true), .serverToClient)
        return bench
    }

    @Test func detection() {
        let offer = Self.wireFormat(tight: true)
        let other = Self.frame(1, Array("ActiveMX".utf8) + offer.dropFirst(13))
        let cases: [([UInt8], Bool)] = [
            (offer, true), (Array(offer.dropLast()), false), (other, false),
            (Self.frame(10, [0, 0, 0, 1, 0]), false), ([0, 0, 0, 0, 0, 0], false),
        ]
        for (bytes, expected) in cases {
            let found = OpenWireParser.detects(bytes.span.bytes)
            #expect(found == expected)
        }
    }

    @Test func offers() {
        var bench = L7ParserTests.Bench(.openWire)
        let (_, first) = bench.feed(Self.wireFormat(tight: false, version: 9))
        #expect(first.first?.type == .session)
        #expect(first.first?.log.version == "9")
        #expect(first.first?.log.responseStatus == L7ResponseStatus.ok.rawValue)
        #expect(bench.feed(Self.wireFormat(tight: true), .serverToClient).1.first?.log.version == "12")
        #expect(bench.feed(Self.frame(11, [0, 0, 0, 3, 0])).1.first?.log.version == "9", "the older one of both")
    }

    @Test(arguments: [true, false])
    func message(_ tight: Bool) {
        var bench = Self.bench(tight: tight)
        let bytes = Self.textMessage(tight, id: 5)
        let (_, out) = bench.feed(bytes)
        #expect(out.count == 1)
        guard let message = out.first else { return }
        #expect(message.type == .request)
        #expect(message.sessionID == 5)
        #expect(message.log.requestType == "ActiveMQTextMessage")
        #expect(message.log.requestResource == "orders" && message.log.endpoint == "orders")
        #expect(message.log.requestLength == Int32(bytes.count - 4))
        #expect(message.log.ext?.xRequestID0 == "corr-1")
        #expect(message.log.trace?.traceIDs == ["trace"])
        #expect(message.log.trace?.spanID == "seg-3")
        #expect(bench.feed(Self.textMessage(tight, id: 6, needsResponse: false)).1.first?.type == .session)
    }

    @Test(arguments: [true, false])
    func dispatch(_ tight: Bool) {
        var writer = Writer(tight: tight)
        writer.header(0)
        writer.object(122)
        writer.string("ID:c")
        writer.long(1)
        writer.long(2)
        writer.queue("orders")
        writer.object(28)
        Self.messageFields(&writer, id: 9, needsResponse: false)
        writer.data += [1, 2, 3]
        var bench = Self.bench(tight: tight)
        let (_, out) = bench.feed(writer.frame(21), .serverToClient)
        #expect(out.first?.log.requestType == "MessageDispatch")
        #expect(out.first?.log.ext?.requestID == 9, "that of the message inside")
        #expect(out.first?.log.ext?.xRequestID1 == "corr-1")
        #expect(out.first?.log.endpoint == "orders")
    }

    @Test(arguments: [true, false])
    func responses(_ tight: Bool) {
        for (type, error) in [(UInt8(30), nil), (31, "no such queue")] {
            var writer = Writer(tight: tight)
            writer.header(0)
            writer.data += Self.be32(5)
            if type == 31 {
                writer.bool(true)
                writer.string("javax.jms.JMSException")
                writer.string(error)
                writer.data += [0, 0]
            }
            var bench = Self.bench(tight: tight)
            let (_, out) = bench.feed(writer.frame(type), .serverToClient)
            #expect(out.first?.type == .response)
            #expect(out.first?.sessionID == 5)
            #expect(out.first?.log.responseException == error ?? "")
            let status: L7ResponseStatus = error == nil ? .ok : .serverError
            #expect(out.first?.log.responseStatus == status.rawValue)
        }
    }

    @Test func consumers() {
        for tight in [true, false] {
            var writer = Writer(tight: tight)
            writer.header(2, needsResponse: true)
            writer.object(122)
            writer.string("ID:c")
            writer.long(1)
            writer.long(1)
            writer.bool(false)
            writer.queue("orders")
            writer.data += [0, 0, 3, 232]
            var bench = Self.bench(tight: tight)
            let (_, out) = bench.feed(writer.frame(5))
            #expect(out.first?.log.endpoint == (tight ? "orders" : ""), "the loose form loses it (trap)")
        }
    }

    @Test func lengthMustFit() {
        var writer = Writer(tight: false)
        writer.header(3)
        writer.object(121)
        writer.string("ID:s")
        writer.long(1)
        var bench = Self.bench(tight: false)
        #expect(bench.feed(writer.frame(4)).1.first?.log.requestType == "SessionInfo")
        writer.data += [0]
        #expect(bench.feed(writer.frame(4)).0 == .failed)
        #expect(bench.feed(Self.frame(11, [1, 0, 0, 0, 0])).0 == .failed, "no such command number")
    }

    @Test func nestingEnds() {
        // A dispatch inside a dispatch inside a dispatch.
        var body: [UInt8] = []
        for _ in 0..<200 { body += Self.be32(1) + [0, 0, 0, 1, 21] }
        var bench = Self.bench(tight: false)
        #expect(bench.feed(Self.frame(21, body)).0 == .failed)
    }

    @Test func segments() {
        let message = Self.textMessage(false, id: 5)
        let next = Self.frame(11, [0, 0, 0, 6, 0])
        let all = message + next
        var bench = Self.bench(tight: false)
        #expect(bench.feed(all).1.map(\.log.requestType) == ["ActiveMQTextMessage", "ShutdownInfo"])
        for count in 5..<all.count where count != message.count {
            #expect(bench.feed(Array(all[..<count]), mayWait: true).0 == .incomplete)
        }
        // What is cut is logged by its beginning; its rest is passed over.
        let cut = message.count - 8
        #expect(bench.feed(Array(all[..<cut])).1.map(\.log.requestType) == ["ActiveMQTextMessage"])
        #expect(bench.feed(Array(all[cut...])).1.map(\.log.requestType) == ["ShutdownInfo"])
        #expect(bench.feed([1, 2, 3] + next).1.count == 1, "found behind what is none")
    }

    @Test func sessions() {
        var bench = Self.bench(tight: false)
        let (_, request) = bench.feed(Self.textMessage(false, id: 5))
        var failure: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 5, 1, 1]
        failure += Self.text("C") + [1]
        failure += Self.text("full") + [0, 0]
        let (_, response) = bench.feed(Self.frame(31, failure), .serverToClient)
        guard var session = request.first, let answer = response.first else { return }
        session.l7Protocol = .openWire
        withUnsafePointer(to: answer) { session.merge($0) }
        #expect(session.log.responseStatus == L7ResponseStatus.serverError.rawValue)
        #expect(session.log.responseException == "full")
        #expect(session.log.ext?.requestID == 5)
    }
}
