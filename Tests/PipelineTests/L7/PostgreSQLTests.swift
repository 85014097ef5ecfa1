import Model
import Samples
import Testing

@testable import Pipeline

/// PostgreSQL packet by packet as the reference reads it, and followed as a stream.
@Suite struct PostgreSQLTests {
    typealias D = SampleData

    private static func detects(_ bytes: [UInt8]) -> Bool {
        PostgreSQLParser.detects(
            bytes.span.bytes,
            L7ParseContext(direction: .clientToServer, l4Protocol: .tcp, payloadSize: bytes.count, mayWait: false))
    }

    private static var openings: [[UInt8]] {
        var all: [[UInt8]] = []
        all.append(D.query("anything;"))
        all.append(D.prepare("select 1") + D.bind + D.execute + D.sync)
        all.append(D.be32(8) + D.be32(80_877_103))
        all.append(D.query("a") + [81, 0])
        return all
    }
    private static var others: [[UInt8]] {
        var all: [[UInt8]] = []
        all.append(D.prepare("begin"))
        all.append(D.bind + D.execute + D.sync)
        all.append(D.startup)
        all.append(D.query("a") + [1, 2, 3, 4, 5])
        all.append(D.postgres("Q", D.text("no end")))
        all.append(D.postgres("Q", D.cString("a") + [1]))
        all.append(D.query("a\u{1}"))
        all.append(D.text("QUIT :bye\r\n"))
        return all
    }

    @Test func detection() {
        for bytes in Self.openings { #expect(Self.detects(bytes), "\(bytes)") }
        for bytes in Self.others { #expect(!Self.detects(bytes), "\(bytes)") }
    }

    @Test(
        arguments: [
            ("INSERT 0 3", 3), ("UPDATE 12", 12), ("SELECT 7", 7), ("COPY 5", 5), ("MERGE 1", 1), ("CREATE TABLE", 0),
            ("INSERT 3", 0), ("BEGIN", 0), ("FETCH x", 0),
        ] as [(String, UInt32)])
    func rows(_ tag: String, _ expected: UInt32) {
        var flow = Conversation(.postgresql, follows: false)
        flow.send(D.query("x"))
        #expect(flow.answer(D.complete(tag)).first?.log.rowEffect == expected)
    }

    @Test(arguments: [
        ("42601", "syntax_error", L7ResponseStatus.clientError), ("40001", "serialization_failure", .clientError),
        ("40000", "transaction_rollback", .serverError), ("22P02", "invalid_text_representation", .clientError),
        ("57014", "query_canceled", .serverError), ("XX000", "internal_error", .serverError), ("ZZ999", "", .unknown),
        ("HV00N", "fdw_unable_to_establish_connection", .serverError),
        ("2203G", "sql_json_item_cannot_be_cast_to_target_type", .clientError),
    ])
    func states(_ state: String, _ name: String, _ status: L7ResponseStatus) {
        var flow = Conversation(.postgresql, follows: false)
        flow.send(D.query("x"))
        let log = flow.answer(D.failure(state)).first?.log
        #expect(log?.responseResult == state)
        #expect(log?.responseException == name)
        #expect(log?.responseStatus == status.rawValue)
    }

    @Test func aPayloadIsOneMessagePacketByPacket() {
        var flow = Conversation(.postgresql, follows: false)
        let requests = flow.send(D.query("select 1") + D.prepare("select 2") + D.execute)
        #expect(requests.map(\.log.requestType) == ["parse"])
        #expect(requests.map(\.log.requestResource) == ["select 2"])
        let answers = flow.answer(D.complete("SELECT 1") + D.complete("SELECT 2") + D.ready)
        #expect(answers.map(\.log.rowEffect) == [2])
        #expect(flow.answer(D.complete("SELECT 2")).isEmpty, "nothing is asked any more")
        #expect(flow.send(D.bind + D.execute + D.sync).map(\.log.requestType) == ["execute"])
        #expect(flow.send(D.prepare("begin")).isEmpty)
        #expect(flow.answer(D.ready).isEmpty)
        #expect(flow.answer(D.postgres("E", D.cString("S") + D.cString("V") + D.cString("Mx"))).isEmpty)
        #expect(flow.answer(D.postgres("E", D.text("SERROR"))).first?.log.responseStatus == 4)
    }

    @Test func everyStatementOfAPipelineFindsItsAnswer() {
        var flow = Conversation(.postgresql)
        var all = flow.send(D.query("select 1") + D.query("insert into t values (1)") + D.query("bad"))
        all += flow.answer(D.row(10) + D.complete("SELECT 1") + D.ready + D.complete("INSERT 0 2") + D.ready)
        all += flow.answer(D.failure("42601") + D.ready)
        let logs = Conversation.joined(all).sorted {
            $0.base.reqTCPSeq < $1.base.reqTCPSeq || $1.base.reqTCPSeq < 100 && $0.base.reqTCPSeq > 100
        }
        #expect(logs.map(\.requestResource) == ["select 1", "insert into t values (1)", "bad"])
        #expect(logs.map(\.rowEffect) == [1, 2, 0])
        #expect(logs.map(\.responseResult) == ["", "", "42601"])
        #expect(logs.allSatisfy { $0.base.messageType == LogMessageType.session.rawValue })
    }

    @Test func extendedProtocol() {
        var flow = Conversation(.postgresql)
        let one = D.bind + D.execute
        var all = flow.send(D.prepare("insert into t values ($1)") + one + one + D.sync)
        all += flow.send(D.prepare("begin") + one + D.prepare("select 2", name: "s") + D.sync)
        #expect(all.map(\.log.requestType) == ["parse", "execute", "parse", "parse"])
        let two = D.postgres("2")
        let answers = flow.answer(
            D.postgres("1") + two + D.complete("INSERT 0 1") + two + D.complete("INSERT 0 1") + D.ready
                + D.postgres("1") + two + D.complete("BEGIN") + D.postgres("1") + D.ready)
        #expect(answers.map(\.sessionID) == all.map(\.sessionID))
        #expect(answers.map(\.log.rowEffect) == [1, 1, 0, 0])
    }

    @Test func anErrorEndsAllUpToSync() {
        var flow = Conversation(.postgresql)
        let one = D.bind + D.execute
        let all = flow.send(D.prepare("select 1") + one + one + D.sync + D.query("select 3"))
        let answers = flow.answer(D.postgres("1") + D.failure("22012") + D.ready + D.complete("SELECT 1") + D.ready)
        #expect(answers.map(\.sessionID) == [all[0].sessionID, all[2].sessionID])
        #expect(answers.map(\.log.responseException) == ["division_by_zero", ""])
    }

    @Test func longResultsOverManyPackets() {
        var flow = Conversation(.postgresql)
        var request = flow.send(D.query("select * from t"))
        let result = (0..<40).flatMap { D.row($0 * 37) } + D.complete("SELECT 40") + D.ready
        var answers: [L7Message] = []
        for start in stride(from: 0, to: result.count, by: 1448) {
            answers += flow.answer(Array(result[start..<min(start + 1448, result.count)]))
        }
        #expect(answers.map(\.log.rowEffect) == [40])
        // A packet is missing in the middle of a row.
        request = flow.send(D.query("select * from t"))
        answers = flow.answer(D.row(5000).dropLast(3000))
        _ = flow.answer([UInt8](repeating: 120, count: 1448), isLost: true)
        answers += flow.answer([UInt8](repeating: 120, count: 1552) + D.complete("SELECT 9") + D.ready)
        answers += flow.send(D.postgres("X"))
        #expect(answers.map(\.sessionID) == request.map(\.sessionID))
        #expect(answers.map(\.log.rowEffect) == [9])
    }

    @Test(arguments: 1...40)
    func cutAnywhere(_ at: Int) {
        var flow = Conversation(.postgresql)
        let requests = D.query("select 1") + D.query("delete from t where a = 1")
        let results = D.complete("SELECT 1") + D.ready + D.complete("DELETE 4") + D.ready
        var all = flow.send(Array(requests[..<at])) + flow.send(Array(requests[at...]))
        let cut = min(at, results.count - 1)
        all += flow.answer(Array(results[..<cut])) + flow.answer(Array(results[cut...]))
        let resources = all.filter { $0.type == .request }.map(\.log.requestResource)
        let rows = all.filter { $0.type == .response }.map(\.log.rowEffect)
        #expect(resources == ["select 1", "delete from t where a = 1"])
        #expect(rows == [1, 4])
    }

    @Test func longStatementShowsItsBeginning() {
        var flow = Conversation(.postgresql)
        let long = "insert into t values ('" + String(repeating: "x", count: 5000) + "')"
        let bytes = D.query(long)
        var all = flow.send(Array(bytes[..<1448]))
        all += flow.send(Array(bytes[1448..<2896])) + flow.send(Array(bytes[2896...]) + D.query("select 2"))
        #expect(all.map { $0.log.requestResource.utf8.count } == [1024, 8])
    }

    @Test func connectionWithoutTLS() {
        var flow = Conversation(.postgresql)
        flow.send(D.be32(8) + D.be32(80_877_103))
        #expect(flow.answer([78]).isEmpty)
        flow.send(D.startup)
        #expect(
            flow.answer(D.postgres("R", D.be32(0)) + D.postgres("S", D.cString("a") + D.cString("b")) + D.ready).isEmpty
        )
        #expect(flow.send(D.query("select 1")).count == 1)
        #expect(flow.answer(D.postgres("I") + D.ready).isEmpty == false)
        #expect(flow.send(D.postgres("X")).isEmpty)
    }
}
