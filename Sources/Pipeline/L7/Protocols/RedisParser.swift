import Model

/// Redis serialization protocol 2 and 3. Source: agent-l7-protocols.md 6.
struct RedisParser {
    /// Arguments of one command that are read; a payload of 64 KiB holds no more.
    private static let maxArguments = 16384

    private var hasPendingRequest = false
    private var stream: RedisStream?

    /// An array.
    @inline(__always)
    static func mayDetect(_ start: UInt32) -> Bool { start & 0xff == 42 }

    static func detects(_ payload: RawSpan, _ context: L7ParseContext) -> Bool {
        // Every command line is longer; most other payloads stop at the first byte.
        guard payload.byteCount >= 4, payload.u8(at: 0) == 42 else { return false }
        let arguments: [Range<Int>]
        switch command(payload, at: 0) {
        case .complete(let found, _): arguments = found
        // A long argument goes on behind what can be seen.
        case .cut(let found) where context.followsStream && !context.mayWait && !found.isEmpty: arguments = found
        case .cut, .bad: return false
        }
        guard let first = arguments.first else { return false }
        guard first.count <= RedisCommands.maxLength else { return false }
        let name = asciiUpperCased(payload.text(first))
        if RedisCommands.alone.contains(name) { return true }
        guard arguments.count > 1, let known = RedisCommands.withSubcommand[name],
            arguments[1].count <= RedisCommands.maxLength
        else { return false }
        return known.contains(asciiUpperCased(payload.text(arguments[1])))
    }

    mutating func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        guard payload.byteCount > 0 else { return .failed }
        if context.followsStream {
            let stream = stream ?? RedisStream()
            self.stream = stream
            return stream.parse(payload, context, settings, into: &out)
        }
        if context.direction == .clientToServer {
            guard case .complete(let arguments, _) = Self.command(payload, at: 0),
                Self.log(arguments, payload, settings, into: &out)
            else { return .failed }
            hasPendingRequest = true
            return .parsed
        }
        guard hasPendingRequest, Self.log(answer: payload, into: &out) else { return .failed }
        hasPendingRequest = false
        return .parsed
    }

    func missBytes() { stream?.missBytes() }

    /// False: no command.
    static func log(
        _ arguments: [Range<Int>], _ payload: RawSpan, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> Bool {
        var words = arguments.map { $0.isEmpty && $0.lowerBound < 0 ? "NULL" : "" }
        for (number, range) in arguments.enumerated() where !range.isEmpty { words[number] = payload.text(range) }
        guard let name = words.first else { return false }
        if settings.obfuscated.contains(.redis) { RedisObfuscation.apply(&words) }
        var message = L7Message()
        message.type = .request
        message.log.requestType = name
        message.log.requestResource = Self.joined(words)
        // What an unanswered request shows (trap).
        message.log.responseResult = "Unknown redis format"
        out.messages.append(message)
        return true
    }

    /// Spaces between arguments, but none in front of an empty one.
    private static func joined(_ words: [String]) -> String {
        var text = words.first ?? ""
        for word in words.dropFirst() where !word.isEmpty {
            text += " "
            text += word
        }
        return text
    }

    /// False: no answer.
    static func log(answer payload: RawSpan, into out: inout L7Output) -> Bool {
        guard let result = Self.resultName(payload.u8(at: 0)) else { return false }
        var message = L7Message()
        message.type = .response
        message.log.responseResult = result
        switch payload.u8(at: 0) {
        case 45:
            message.log.responseStatus = L7ResponseStatus.serverError.rawValue
            message.log.responseException = Self.shortened(payload.text(0..<Self.lineEnd(payload, from: 0)), to: 256)
        case 33:
            message.log.responseStatus = L7ResponseStatus.serverError.rawValue
            let start = min(Self.lineEnd(payload, from: 0) &+ 2, payload.byteCount)
            let text = payload.text(start..<max(start, Self.lineEnd(payload, from: start)))
            message.log.responseException = Self.shortened("!" + text, to: 256)
        default:
            message.log.responseStatus = L7ResponseStatus.ok.rawValue
        }
        out.messages.append(message)
        return true
    }

    private static func lineEnd(_ payload: RawSpan, from: Int) -> Int { payload.crlf(from: from) ?? payload.byteCount }

    /// At most `count` characters, with an ellipsis when it was more than one longer.
    private static func shortened(_ text: String, to count: Int) -> String {
        guard text.utf8.count > count + 1, text.unicodeScalars.count > count + 1 else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.prefix(count))) + "..."
    }

    private static func resultName(_ first: UInt8) -> String? {
        switch first {
        case 43: "+ Simple string"
        case 45: "- Simple error"
        case 58: ": Integer"
        case 36: "$ Bulk string"
        case 42: "* Array"
        case 95: "_ Nulls"
        case 35: "# Boolean"
        case 44: ", Double"
        case 40: "( Big number"
        case 33: "! Bulk error"
        case 61: "= Verbatim string"
        case 37: "% Map"
        case 126: "~ Set"
        case 62: "> Push"
        default: nil
        }
    }

    enum Command {
        /// Range of each argument, and what follows the last; a null string is the empty range at -1.
        case complete([Range<Int>], next: Int)
        /// What is there of the arguments.
        case cut([Range<Int>])
        case bad
    }

    /// The command at an offset: `*N` and N bulk strings.
    static func command(_ payload: RawSpan, at start: Int) -> Command {
        guard payload.byteCount > start, payload.u8(at: start) == 42 else { return .bad }
        var at = start &+ 1
        let count: Int
        switch number(payload, &at) {
        case .value(let value): count = value
        case .cut: return .cut([])
        case .bad: return .bad
        }
        guard count > 0, count <= maxArguments else { return .bad }
        var arguments: [Range<Int>] = []
        arguments.reserveCapacity(min(count, 16))
        for _ in 0..<count {
            guard at < payload.byteCount else { return .cut(arguments) }
            guard payload.u8(at: at) == 36 else { return .bad }
            at &+= 1
            switch number(payload, &at) {
            case .cut: return .cut(arguments)
            case .bad: return .bad
            case .value(let length) where length < 0:
                arguments.append(-1 ..< -1)
            case .value(let length):
                guard payload.byteCount &- at >= length &+ 2 else {
                    arguments.append(at..<min(at &+ length, payload.byteCount))
                    return .cut(arguments)
                }
                guard payload.u8(at: at &+ length) == 13, payload.u8(at: at &+ length &+ 1) == 10 else { return .bad }
                arguments.append(at..<at &+ length)
                at = at &+ length &+ 2
            }
        }
        return .complete(arguments, next: at)
    }

    enum Number {
        case value(Int)
        case cut
        case bad
    }

    /// Decimal number up to CR LF.
    static func number(_ payload: RawSpan, _ at: inout Int) -> Number {
        var value = 0
        var isNegative = false
        var digits = 0
        while at < payload.byteCount {
            let byte = payload.u8(at: at)
            if byte == 45, digits == 0, !isNegative {
                isNegative = true
            } else if isASCIIDigit(byte), digits < 10 {
                value = value * 10 + Int(byte &- 48)
                digits += 1
            } else if byte == 13, digits > 0 {
                guard at &+ 1 < payload.byteCount else { return .cut }
                guard payload.u8(at: at &+ 1) == 10 else { return .bad }
                at &+= 2
                return .value(isNegative ? -value : value)
            } else {
                return .bad
            }
            at &+= 1
        }
        return .cut
    }
}
