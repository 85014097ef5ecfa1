import Model

/// Header fields that are read, and all others.
enum HTTP2Header: UInt8 {
    case other, method, status, scheme, path, authority, host, contentType, contentLength, grpcStatus, serviceVersion

    /// Field names are written in small letters. Source: RFC 9113 8.2.
    init(_ text: RawSpan, _ name: Range<Int>) {
        self =
            switch name.count {
            case 4 where text.equals(name, "host"): .host
            case 5 where text.equals(name, ":path"): .path
            case 7 where text.equals(name, ":method"): .method
            case 7 where text.equals(name, ":status"): .status
            case 7 where text.equals(name, ":scheme"): .scheme
            case 10 where text.equals(name, ":authority"): .authority
            case 11 where text.equals(name, "grpc-status"): .grpcStatus
            case 12 where text.equals(name, "content-type"): .contentType
            case 14 where text.equals(name, "content-length"): .contentLength
            case 19 where text.equals(name, "tri-service-version"): .serviceVersion
            default: .other
            }
    }

    /// The dynamic table holds its value. Source: agent-l7.md 11.6.
    var isKept: Bool {
        switch self {
        case .other, .scheme, .serviceVersion: false
        default: true
        }
    }
}

/// One field of a header block; its texts lie in the buffer that the decoder was given.
struct HPACKField {
    var header = HTTP2Header.other
    /// Some setting names it.
    var isTag = false
    /// Known of tags at least.
    var name = 0..<0
    var value = 0..<0
}

/// Reads the header blocks of one direction of a connection. Source: RFC 7541 3, 5, 6.
struct HPACKDecoder {
    enum Step {
        case field(HPACKField)
        case end
        /// The block ends within a field.
        case cut
        case broken
    }

    private enum Number {
        case value(Int)
        case cut
        case broken
    }

    private var table = HPACKDynamicTable()

    /// To be called when header blocks were missed.
    mutating func forget() { table.removeAll() }

    /// Reads the next field of a block from `at` on.
    mutating func next(
        _ block: RawSpan, _ at: inout Int, _ settings: borrowing L7Settings, into text: inout [UInt8]
    ) -> Step {
        while at < block.byteCount {
            let first = block.u8(at: at)
            text.removeAll(keepingCapacity: true)
            switch first {
            case 0x80...: return indexed(block, &at, settings, &text)
            case 0x40...: return literal(block, &at, 6, isInserted: true, settings, &text)
            case 0x20...:
                switch Self.number(block, &at, prefix: 5) {
                case .value(let limit): table.resize(limit)
                case .cut: return .cut
                case .broken: return .broken
                }
            default: return literal(block, &at, 4, isInserted: false, settings, &text)
            }
        }
        return .end
    }

    private func indexed(
        _ block: RawSpan, _ at: inout Int, _ settings: borrowing L7Settings, _ text: inout [UInt8]
    ) -> Step {
        switch Self.number(block, &at, prefix: 7) {
        case .cut: return .cut
        case .broken, .value(0): return .broken
        case .value(let index):
            var field = HPACKField()
            if index <= HPACKStaticTable.count {
                field = Self.staticName(index, settings, &text)
                Self.append(HPACKStaticTable.value(index), to: &text)
                field.value = field.name.upperBound..<text.count
            } else if let entry = table.entry(index &- HPACKStaticTable.count &- 1), entry.kept > 0 {
                table.copy(entry, 0..<Int(entry.kept), into: &text)
                field.header = entry.header
                field.isTag = entry.isTag
                field.name = 0..<(entry.isTag ? Int(entry.nameLength) : 0)
                field.value = field.name.upperBound..<text.count
            }
            return .field(field)
        }
    }

    private mutating func literal(
        _ block: RawSpan, _ at: inout Int, _ prefix: Int, isInserted: Bool, _ settings: borrowing L7Settings,
        _ text: inout [UInt8]
    ) -> Step {
        var field = HPACKField()
        var nameLength = 0
        switch Self.number(block, &at, prefix: prefix) {
        case .cut: return .cut
        case .broken: return .broken
        case .value(0):
            switch Self.text(block, &at, into: &text) {
            case .cut: return .cut
            case .broken: return .broken
            case .value(let count):
                field = Self.named(0..<count, settings, text)
                nameLength = count
            }
        case .value(let index) where index <= HPACKStaticTable.count:
            field = Self.staticName(index, settings, &text)
            nameLength = field.name.count
        case .value(let index):
            // The name of a field that was not seen counts as empty: the sender's table is then smaller than ours.
            if let entry = table.entry(index &- HPACKStaticTable.count &- 1) {
                field.header = entry.header
                field.isTag = entry.isTag
                nameLength = Int(entry.nameLength)
                if entry.isTag {
                    table.copy(entry, 0..<nameLength, into: &text)
                    field.name = 0..<nameLength
                }
            }
        }
        let start = text.count
        switch Self.text(block, &at, into: &text) {
        case .cut: return .cut
        case .broken: return .broken
        case .value: field.value = start..<text.count
        }
        if isInserted {
            var entry = HPACKDynamicTable.Entry()
            entry.header = field.header
            entry.isTag = field.isTag
            entry.nameLength = Int32(truncatingIfNeeded: nameLength)
            entry.valueLength = Int32(truncatingIfNeeded: field.value.count)
            let kept = field.isTag ? 0..<text.count : field.header.isKept ? field.value : 0..<0
            table.insert(entry, text, kept)
        }
        return .field(field)
    }

    // MARK: - Names

    private static func staticName(
        _ index: Int, _ settings: borrowing L7Settings, _ text: inout [UInt8]
    ) -> HPACKField {
        append(HPACKStaticTable.name(index), to: &text)
        return named(0..<text.count, settings, text)
    }

    private static func named(_ name: Range<Int>, _ settings: borrowing L7Settings, _ text: [UInt8]) -> HPACKField {
        var field = HPACKField()
        field.name = name
        guard !name.isEmpty else { return field }
        let bytes = text.span.bytes
        field.header = HTTP2Header(bytes, name)
        if settings.trace.mayName(length: name.count, first: text[0]) || !settings.httpCustomFields.isEmpty {
            field.isTag = HTTP1Parser.isTag(bytes, name, settings)
        }
        return field
    }

    private static func append(_ new: StaticString, to text: inout [UInt8]) {
        text.append(contentsOf: UnsafeBufferPointer(start: new.utf8Start, count: new.utf8CodeUnitCount))
    }

    // MARK: - Primitives

    /// Source: RFC 7541 5.1.
    private static func number(_ block: RawSpan, _ at: inout Int, prefix: Int) -> Number {
        guard at < block.byteCount else { return .cut }
        let mask = 1 << prefix &- 1
        var value = Int(block.u8(at: at)) & mask
        at &+= 1
        guard value == mask else { return .value(value) }
        var shift = 0
        while at < block.byteCount {
            let byte = block.u8(at: at)
            at &+= 1
            value &+= Int(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return .value(value) }
            shift &+= 7
            guard shift <= 21 else { return .broken }
        }
        return .cut
    }

    /// Appends a string, and gives its length. Source: RFC 7541 5.2.
    private static func text(_ block: RawSpan, _ at: inout Int, into text: inout [UInt8]) -> Number {
        guard at < block.byteCount else { return .cut }
        let isPacked = block.u8(at: at) & 0x80 != 0
        guard case .value(let length) = number(block, &at, prefix: 7) else { return .cut }
        guard length <= block.byteCount &- at else { return .cut }
        let before = text.count
        let range = at..<(at &+ length)
        at = range.upperBound
        if isPacked {
            guard HPACKHuffman.shared.decode(block, range, into: &text) else { return .broken }
        } else {
            block.extracting(range).withUnsafeBytes { text.append(contentsOf: $0) }
        }
        return .value(text.count &- before)
    }
}
