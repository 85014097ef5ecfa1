import Model

/// One frame: sizes, command, and for SEND and MESSAGE the metadata of the message behind it.
struct PulsarFrame {
    private static let brokerMagic: UInt16 = 0x0e02
    private static let magic: UInt16 = 0x0e01
    /// Brokers take no larger ones unless told to.
    private static let maxSize = 64 << 20

    let size: Int
    let command: Range<Int>
    /// Empty = none.
    private(set) var metadata = 0..<0
    /// May lie behind the payload.
    let next: Int

    /// Nil: no frame stands here, or its command is not complete.
    init?(_ payload: RawSpan, at: Int) {
        guard payload.byteCount &- at >= 8 else { return nil }
        size = Int(payload.be32(at: at))
        let commandSize = Int(payload.be32(at: at &+ 4))
        guard size <= Self.maxSize, size >= commandSize &+ 4, commandSize > 0,
            commandSize <= payload.byteCount &- at &- 8
        else { return nil }
        command = at &+ 8..<at &+ 8 &+ commandSize
        next = at &+ 4 &+ size
        readMetadata(payload)
    }

    private mutating func readMetadata(_ payload: RawSpan) {
        var at = command.upperBound
        let end = min(next, payload.byteCount)
        if end &- at >= 6, payload.be16(at: at) == Self.brokerMagic { at = at &+ 6 &+ Int(payload.be32(at: at &+ 2)) }
        // Magic, checksum, size.
        guard end &- at >= 10, payload.be16(at: at) == Self.magic else { return }
        let count = Int(payload.be32(at: at &+ 6))
        guard count <= end &- at &- 10 else { return }
        metadata = at &+ 10..<at &+ 10 &+ count
    }

    static func frame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        guard payload.byteCount &- at >= 8 else { return .cut }
        let size = Int(payload.be32(at: at))
        return size <= maxSize && size >= Int(payload.be32(at: at &+ 4)) &+ 4 ? .next(at &+ 4 &+ size) : .foreign
    }

    /// Trace and span id in the properties of the message.
    func trace(_ payload: RawSpan, _ settings: borrowing L7TraceSettings) -> L7Trace? {
        guard !metadata.isEmpty else { return nil }
        var tags = TagCollector()
        var fields = ProtobufFields(metadata)
        while let field = fields.next(payload) {
            guard field.number == 4, let property = field.bytes else { continue }
            var (key, value) = (0..<0, 0..<0)
            var pair = ProtobufFields(property)
            while let part = pair.next(payload) {
                guard let bytes = part.bytes else { continue }
                if part.number == 1 { key = bytes } else if part.number == 2 { value = bytes }
            }
            if !key.isEmpty, !value.isEmpty { tags.read(payload, name: key, value: value, settings) }
        }
        return tags.trace
    }
}

/// What is read of a BaseCommand.
struct PulsarCommand {
    let type: PulsarType
    private(set) var requestID: UInt32?
    private(set) var producerID: UInt64?
    private(set) var consumerID: UInt64?
    /// Whole name; empty = absent.
    private(set) var topic = 0..<0
    private(set) var proxyURL = 0..<0
    private(set) var protocolVersion: Int32 = 0
    private(set) var errorCode: Int32?
    private(set) var errorText = 0..<0
    /// `ledger:entry:partition:batch`
    private(set) var messageID = ""

    /// Nil: not a command, or its message is absent or broken.
    init?(_ payload: RawSpan, _ range: Range<Int>) {
        var base = ProtobufFields(range)
        var number: UInt64 = 0
        while let field = base.next(payload) { if field.number == 1, field.bytes == nil { number = field.value } }
        guard !base.isMalformed, number < 128 else { return nil }
        type = PulsarType(rawValue: Int(number))
        guard type.name != nil else { return nil }
        var body: Range<Int>?
        base = ProtobufFields(range)
        while let field = base.next(payload) { if Int(field.number) == type.field { body = field.bytes } }
        guard let body, read(payload, body) else { return nil }
    }

    private mutating func read(_ payload: RawSpan, _ body: Range<Int>) -> Bool {
        var (producer, sequence): (UInt64, UInt64) = (0, 0)
        var fields = ProtobufFields(body)
        while let field = fields.next(payload) {
            if let bytes = field.bytes {
                readBlock(payload, Int(field.number), bytes)
                continue
            }
            let number = Int(field.number)
            if number == type.requestIDField { requestID = UInt32(truncatingIfNeeded: field.value) }
            if number == type.producerIDField { producerID = field.value }
            if number == type.consumerIDField { consumerID = field.value }
            if number == type.errorFields?.code { errorCode = Int32(truncatingIfNeeded: field.value) }
            if number == type.versionField { protocolVersion = Int32(truncatingIfNeeded: field.value) }
            if number == 1 { producer = field.value } else if number == 2 { sequence = field.value }
        }
        if type.isSending {
            requestID = UInt32(truncatingIfNeeded: (producer & 0xffff) << 16 | sequence & 0xffff)
        }
        return !fields.isMalformed
    }

    private mutating func readBlock(_ payload: RawSpan, _ number: Int, _ bytes: Range<Int>) {
        if number == 1, type == .producer || type == .subscribe { topic = bytes }
        if number == 6, type == .connect { proxyURL = bytes }
        if number == type.errorFields?.text { errorText = bytes }
        if number == type.messageIDField { messageID = Self.messageID(payload, bytes) }
    }

    private static func messageID(_ payload: RawSpan, _ range: Range<Int>) -> String {
        var (ledger, entry): (UInt64, UInt64) = (0, 0)
        var (partition, batch): (Int32, Int32) = (-1, -1)
        var fields = ProtobufFields(range)
        while let field = fields.next(payload) {
            switch field.number {
            case 1: ledger = field.value
            case 2: entry = field.value
            case 3: partition = Int32(truncatingIfNeeded: field.value)
            case 4: batch = Int32(truncatingIfNeeded: field.value)
            default: break
            }
        }
        return "\(ledger):\(entry):\(partition):\(batch)"
    }
}
