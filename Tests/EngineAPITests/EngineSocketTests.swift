import EngineAPI
import Glibc
import Model
import Synchronization
import Testing

/// Answers every question with what it was asked.
private final class EchoEngine: EngineView {
    let asked = Mutex<[Question]>([])

    func answer(_ question: Question) -> Answer {
        asked.withLock { $0.append(question) }
        switch question {
        case .list(let query):
            return .list(
                ListPage(
                    kind: query.kind, columns: ["flow_id", "rtt"],
                    rows: [[.uint(UInt64.max), .real(.infinity)], [.uint(1 << 60 | 1), .text("caf\u{e9}\u{0}\n")]],
                    ids: [UInt64.max, 1 << 60 | 1], offset: query.offset, matched: 2, total: 9, clockUs: 77))
        case .sql(let text):
            return .table(ResultTable(columns: ["q"], rows: [[.text(text)], [.null], [.list([.int(-5)])]]))
        default:
            return .failed(Refusal(.notFound, what: "w", why: "y", mend: "m"))
        }
    }
}

@Suite struct EngineSocketTests {
    private let path = "/tmp/dftop-test-\(getpid())-\(UInt32.random(in: 0 ... .max)).sock"

    @Test func carriesQuestionsAndAnswers() throws {
        let engine = EchoEngine()
        let server = EngineServer(view: engine)
        try server.start(on: .unix(path: path))
        defer { server.stop() }
        let client = try EngineClient(connectingTo: .unix(path: path))
        let query = ListQuery(.flows, filter: "proto:http", sort: "rtt", offset: 3, limit: 5, snapshot: UInt64.max - 1)
        guard case .list(let page) = client.answer(.list(query)) else {
            throw Failure(.failed, what: "no page", why: "")
        }
        #expect(page.ids == [UInt64.max, 1 << 60 | 1])
        #expect(page.rows[0] == [.uint(UInt64.max), .real(.infinity)])
        #expect(page.rows[1][1] == .text("caf\u{e9}\u{0}\n"))
        #expect(page.offset == 3)
        #expect(
            client.answer(.sql("select 1"))
                == .table(ResultTable(columns: ["q"], rows: [[.text("select 1")], [.null], [.list([.int(-5)])]])))
        #expect(client.answer(.status) == .failed(Refusal(.notFound, what: "w", why: "y", mend: "m")))
        #expect(engine.asked.withLock { $0.first } == .list(query))
    }

    @Test func ownerAloneMayOpenIt() throws {
        let server = EngineServer(view: EchoEngine())
        try server.start(on: .unix(path: path))
        defer { server.stop() }
        var entry = stat()
        #expect(lstat(path, &entry) == 0)
        #expect(entry.st_mode & 0o777 == 0o600)
    }

    @Test func replacesAStaleSocketOnly() throws {
        let address = EngineAddress.unix(path: path)
        let first = EngineServer(view: EchoEngine())
        try first.start(on: address)
        let conflict = #expect(throws: Failure.self) { try EngineServer(view: EchoEngine()).start(on: address) }
        #expect(conflict?.exitCode == .conflict)
        first.stop()
        #expect(access(path, F_OK) != 0)

        // What a killed process leaves: a socket file that nobody listens on.
        let dead = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(dead, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(bound == 0)
        close(dead)
        let second = EngineServer(view: EchoEngine())
        try second.start(on: address)
        second.stop()

        let file = open(path, O_CREAT | O_WRONLY, 0o600)
        close(file)
        defer { unlink(path) }
        #expect(throws: Failure.self) { try EngineServer(view: EchoEngine()).start(on: address) }
        #expect(access(path, F_OK) == 0)
    }

    @Test func hostileBytesHarmNobodyElse() throws {
        let server = EngineServer(view: EchoEngine())
        try server.start(on: .unix(path: path))
        defer { server.stop() }
        let client = try EngineClient(connectingTo: .unix(path: path))
        for bytes: [UInt8] in [
            [0, 0, 0, 0], [255, 255, 255, 255], [0, 0, 0, 5] + Array("hello".utf8), [0, 0, 0, 2] + Array("{}".utf8),
            Array("GET / HTTP/1.1\r\n\r\n".utf8), [0, 0],
            [0, 0, 0, 64] + Array(repeating: 0x5b, count: 64),
        ] {
            try send(bytes)
        }
        var seed: UInt64 = 7
        for _ in 0..<50 {
            var bytes: [UInt8] = [0, 0, 0, 40]
            for _ in 0..<40 {
                seed = seed &* 6_364_136_223_846_793_005 &+ 1
                bytes.append(UInt8(truncatingIfNeeded: seed >> 40))
            }
            try send(bytes)
        }
        guard case .table = client.answer(.sql("x")) else {
            Issue.record("the server no longer answers")
            return
        }
        // On a busy machine connections that close at once may go before they are read.
        let deadline = ContinuousClock.now + .seconds(20)
        while server.counters.malformed <= 5, ContinuousClock.now < deadline {
            try send([255, 255, 255, 255])
            usleep(10_000)
        }
        #expect(server.counters.malformed > 5)
    }

    @Test func boundsItsConnections() throws {
        var limits = EngineServer.Limits()
        limits.connections = 2
        let server = EngineServer(view: EchoEngine(), limits: limits)
        try server.start(on: .unix(path: path))
        defer { server.stop() }
        let clients = try (0..<3).map { _ in
            try EngineClient(connectingTo: .unix(path: path), timeoutSeconds: 1)
        }
        var answered = 0
        for client in clients {
            if case .table = client.answer(.sql("x")) { answered += 1 }
        }
        #expect(answered == 2)
        #expect(server.counters.refused >= 1)
    }

    @Test func survivesARestart() throws {
        let address = EngineAddress.unix(path: path)
        let first = EngineServer(view: EchoEngine())
        try first.start(on: address)
        let client = try EngineClient(connectingTo: address, timeoutSeconds: 2)
        _ = client.answer(.status)
        first.stop()
        guard case .failed(let refusal) = client.answer(.sql("x")) else {
            Issue.record("no engine, yet an answer")
            return
        }
        #expect(refusal.exitCode == .unreachable)
        let second = EngineServer(view: EchoEngine())
        try second.start(on: address)
        defer { second.stop() }
        guard case .table = client.answer(.sql("x")) else {
            Issue.record("the client did not connect again")
            return
        }
    }

    @Test func servesTCPOnLoopback() throws {
        let server = EngineServer(view: EchoEngine())
        let address = EngineAddress.tcp(host: "127.0.0.1", port: UInt16.random(in: 30000...60000))
        try server.start(on: address)
        defer { server.stop() }
        guard case .table = try EngineClient(connectingTo: address).answer(.sql("x")) else {
            Issue.record("no answer")
            return
        }
    }

    @Test func readsAddresses() throws {
        #expect(try EngineAddress.parse("/a/b") == .unix(path: "/a/b"))
        #expect(try EngineAddress.parse("[::1]:99") == .tcp(host: "::1", port: 99))
        #expect(try EngineAddress.parse("h:99").description == "h:99")
        #expect(try EngineAddress.parse("99") == .tcp(host: "127.0.0.1", port: 99))
        #expect(throws: Failure.self) { try EngineAddress.parse("nonsense") }
    }

    private func send(_ bytes: [UInt8]) throws {
        let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(fd) }
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: path.utf8) }
        let status = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(fd, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(status == 0)
        _ = Glibc.send(fd, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }
}
