import Model

enum NATSVerb {
    case info, connect, pub, hpub, sub, unsub, msg, hmsg, ping, pong, ok, err

    /// As it is logged.
    var name: String {
        switch self {
        case .info: "INFO"
        case .connect: "CONNECT"
        case .pub: "PUB"
        case .hpub: "HPUB"
        case .sub: "SUB"
        case .unsub: "UNSUB"
        case .msg: "MSG"
        case .hmsg: "HMSG"
        case .ping: "PING"
        case .pong: "PONG"
        case .ok: "OK"
        case .err: "ERR"
        }
    }

    /// Who sends it does not matter: INFO, which opens a connection, comes from the server.
    var type: LogMessageType {
        switch self {
        case .info, .ping: .request
        case .connect, .pong: .response
        case .pub, .hpub, .sub, .unsub, .msg, .hmsg, .ok, .err: .session
        }
    }

    /// Words behind the verb.
    fileprivate var wordCount: ClosedRange<Int> {
        switch self {
        case .pub, .sub: 2...3
        case .hpub, .msg: 3...4
        case .hmsg: 4...5
        case .unsub: 1...2
        case .info, .connect, .ping, .pong, .ok, .err: 0...0
        }
    }

    fileprivate init?(_ payload: RawSpan, _ word: Range<Int>) {
        switch word.count {
        case 3 where payload.equals(word, "pub"): self = .pub
        case 3 where payload.equals(word, "sub"): self = .sub
        case 3 where payload.equals(word, "msg"): self = .msg
        case 3 where payload.equals(word, "+ok"): self = .ok
        case 4 where payload.equals(word, "info"): self = .info
        case 4 where payload.equals(word, "hpub"): self = .hpub
        case 4 where payload.equals(word, "hmsg"): self = .hmsg
        case 4 where payload.equals(word, "ping"): self = .ping
        case 4 where payload.equals(word, "pong"): self = .pong
        case 4 where payload.equals(word, "-err"): self = .err
        case 5 where payload.equals(word, "unsub"): self = .unsub
        case 7 where payload.equals(word, "connect"): self = .connect
        default: return nil
        }
    }
}

/// One message of the NATS client protocol; offsets into the payload, empty = absent.
struct NATSMessage {
    enum Scan {
        case message(NATSMessage)
        /// Its end is missing.
        case cut
        case bad
    }

    private static let maxVerb = 8

    let verb: NATSVerb
    let start: Int
    private(set) var next: Int
    private(set) var subject = 0..<0
    /// Header lines of HPUB and HMSG, version line included.
    private(set) var headers = 0..<0
    /// Of INFO.
    private(set) var version = 0..<0
    private(set) var serverName = 0..<0

    /// - Parameter count: bytes of the payload; what is missing of them is content of the message.
    static func scan(_ payload: RawSpan, at start: Int, of count: Int) -> Scan {
        var end = start
        while end < payload.byteCount, !isDelimiter(payload.u8(at: end)) {
            end &+= 1
            guard end &- start <= maxVerb else { return .bad }
        }
        guard end < payload.byteCount else { return end > start ? .cut : .bad }
        guard let verb = NATSVerb(payload, start..<end) else { return .bad }
        guard let line = payload.crlf(from: end) else { return .cut }
        var message = NATSMessage(verb: verb, start: start, next: line &+ 2)
        switch verb {
        case .ping, .pong, .ok: return line == end ? .message(message) : .bad
        case .err: return .message(message)
        case .info: return message.readInfo(payload, end..<line) ? .message(message) : .bad
        case .connect: return isConnect(payload, end..<line) ? .message(message) : .bad
        case .pub, .hpub, .sub, .unsub, .msg, .hmsg: return message.readWords(payload, end..<line, of: count)
        }
    }

    private init(verb: NATSVerb, start: Int, next: Int) {
        self.verb = verb
        self.start = start
        self.next = next
    }

    private static func isDelimiter(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 || byte == 13 || byte == 10 }

    // MARK: - JSON

    private mutating func readInfo(_ payload: RawSpan, _ range: Range<Int>) -> Bool {
        guard var object = JSONObject(payload, range) else { return false }
        var found = 0
        while let member = object.next(payload) {
            switch member.name.count {
            case 2 where payload.equals(member.name, "go"): found |= 1
            case 4 where payload.equals(member.name, "host"): found |= 2
            case 4 where payload.equals(member.name, "port"): found |= 4
            case 7 where payload.equals(member.name, "version"):
                found |= 8
                version = member.value
            case 9 where payload.equals(member.name, "server_id"): found |= 16
            case 11 where payload.equals(member.name, "server_name"):
                found |= 32
                serverName = member.value
            case 11 where payload.equals(member.name, "max_payload"): found |= 64
            default: break
            }
        }
        return object.isComplete && found == 127
    }

    private static func isConnect(_ payload: RawSpan, _ range: Range<Int>) -> Bool {
        guard var object = JSONObject(payload, range) else { return false }
        var found = 0
        while let member = object.next(payload) {
            switch member.name.count {
            case 7 where payload.equals(member.name, "verbose"): found |= 1
            case 7 where payload.equals(member.name, "version"): found |= 2
            case 8 where payload.equals(member.name, "pedantic"): found |= 4
            default: break
            }
        }
        return object.isComplete && found == 7
    }

    // MARK: - Words

    private mutating func readWords(_ payload: RawSpan, _ range: Range<Int>, of total: Int) -> Scan {
        var words = InlineArray<5, Range<Int>>(repeating: 0..<0)
        var count = 0
        var at = range.lowerBound
        while at < range.upperBound {
            if Self.isDelimiter(payload.u8(at: at)) {
                at &+= 1
                continue
            }
            let first = at
            while at < range.upperBound, !Self.isDelimiter(payload.u8(at: at)) { at &+= 1 }
            guard count < verb.wordCount.upperBound else { return .bad }
            words[count] = first..<at
            count &+= 1
        }
        guard verb.wordCount.contains(count) else { return .bad }
        switch verb {
        case .sub: subject = words[0]
        case .unsub: break
        case .pub, .msg:
            subject = words[0]
            guard let size = payload.decimal(words[count &- 1]) else { return .bad }
            return readBody(payload, headerSize: 0, size: size, of: total)
        case .hpub, .hmsg:
            subject = words[0]
            guard let header = payload.decimal(words[count &- 2]), let size = payload.decimal(words[count &- 1]),
                header <= size
            else { return .bad }
            return readBody(payload, headerSize: header, size: size, of: total)
        case .info, .connect, .ping, .pong, .ok, .err: return .bad
        }
        return .message(self)
    }

    /// Headers and content, and the line end behind them.
    private mutating func readBody(_ payload: RawSpan, headerSize: Int, size: Int, of total: Int) -> Scan {
        guard total &- next >= size &+ 2 else { return .cut }
        let end = next &+ size
        if payload.byteCount &- end >= 2 {
            guard payload.u8(at: end) == 13, payload.u8(at: end &+ 1) == 10 else { return .bad }
        }
        if headerSize > 0, payload.byteCount &- next >= 8 {
            guard payload.hasPrefix("NATS/1.0", at: next) else { return .bad }
            headers = next..<min(next &+ headerSize, payload.byteCount)
        }
        next = end &+ 2
        return .message(self)
    }

    /// Trace and span id in the header lines.
    func trace(_ payload: RawSpan, _ settings: borrowing L7TraceSettings) -> L7Trace? {
        guard !headers.isEmpty, var line = payload.crlf(from: headers.lowerBound) else { return nil }
        var tags = TagCollector()
        while line &+ 2 < headers.upperBound {
            let first = line &+ 2
            line = min(payload.crlf(from: first) ?? headers.upperBound, headers.upperBound)
            guard let colon = payload.firstIndex(of: UInt8(ascii: ":"), from: first, to: line) else { continue }
            let name = payload.trimmedRange(first..<colon)
            let value = payload.trimmedRange(colon &+ 1..<line)
            if !value.isEmpty { tags.read(payload, name: name, value: value, settings) }
        }
        return tags.trace
    }
}
