import Model

/// Header of a MongoDB message and what its body tells. Source: agent-l7-protocols.md 7; MongoDB wire protocol.
struct MongoDBMessage {
    static let headerLength = 16
    /// `maxMessageSizeBytes` of all servers, with room.
    static let maxLength = 0x0400_0000

    var length: Int
    var requestID: UInt32
    var responseTo: UInt32
    var operation: MongoDBOperation
    private var start: Int

    /// Nil: fewer bytes than a header, or no header.
    init?(_ payload: RawSpan, at: Int) {
        guard at >= 0, payload.byteCount &- at >= Self.headerLength else { return nil }
        length = Int(payload.le32(at: at))
        guard length > Self.headerLength, length <= Self.maxLength,
            let operation = MongoDBOperation(rawValue: payload.le32(at: at &+ 12))
        else { return nil }
        requestID = payload.le32(at: at &+ 4)
        responseTo = payload.le32(at: at &+ 8)
        self.operation = operation
        start = at
    }

    var next: Int { start &+ length }

    /// By what it says, whatever way it goes.
    var isRequest: Bool {
        switch operation {
        case .update, .insert, .query, .delete: true
        case .reply: false
        default: responseTo == 0
        }
    }

    /// Nothing answers it.
    func isOneWay(_ payload: RawSpan) -> Bool {
        switch operation {
        case .update, .insert, .delete, .killCursors: true
        case .message: payload.byteCount &- start >= 20 && payload.le32(at: start &+ 16) & Self.moreToCome != 0
        default: false
        }
    }

    private static let moreToCome: UInt32 = 2
    /// Checksum, more to come, exhaust allowed.
    private static let messageFlags: UInt32 = 0x1_0003

    /// The body begins as that of a client does.
    func isPlain(_ payload: RawSpan) -> Bool {
        var cursor = ByteCursor(payload, at: start &+ Self.headerLength)
        guard let first = cursor.le32(payload) else { return false }
        switch operation {
        case .message:
            guard first & ~Self.messageFlags == 0, let kind = cursor.u8(payload), kind <= 1 else { return false }
            guard let size = cursor.le32(payload) else { return false }
            return size >= 5 && Int(size) <= length &- 21
        case .query: return isName(payload, &cursor)
        case .insert: return first <= 1 && isName(payload, &cursor)
        case .update, .delete, .getMore: return first == 0 && isName(payload, &cursor)
        case .killCursors: return first == 0 && length >= 32
        case .compressed: return MongoDBOperation(rawValue: first) != nil
        default: return false
        }
    }

    /// `database.collection`
    private func isName(_ payload: RawSpan, _ cursor: inout ByteCursor) -> Bool {
        guard let name = cursor.cString(payload), name.count >= 3, name.count <= 255 else { return false }
        return payload.firstIndex(of: UInt8(ascii: "."), from: name.lowerBound, to: name.upperBound) != nil
            && name.allSatisfy { payload.u8(at: $0) >= 32 }
    }

    // MARK: - Log

    /// False: it cannot be read.
    func log(
        _ payload: RawSpan, to end: Int, _ message: UnsafeMutablePointer<L7Message>
    ) -> Bool {
        message.pointee.type = isRequest ? .request : .response
        message.pointee.log.requestType = operation.name
        message.pointee.log.responseStatus = L7ResponseStatus.ok.rawValue
        message.pointee.log.responseCode = 0
        // The lengths are never told (trap).
        message.pointee.log.requestLength = 0
        message.pointee.log.responseLength = 0
        let id = isRequest ? requestID : responseTo
        message.pointee.log.changeExt { $0.requestID = id }
        var cursor = ByteCursor(payload, at: start &+ Self.headerLength &+ 4, end: min(end, next))
        switch operation {
        case .message: readSections(payload, &cursor, message)
        case .reply: readReply(payload, to: cursor.end, message)
        case .query:
            guard cursor.cString(payload) != nil, cursor.skip(8) else { break }
            message.pointee.log.requestResource = BSONText.of(payload, cursor.rest).text
        case .insert:
            guard let name = cursor.cString(payload) else { break }
            // The name of the collection stands in the exception (trap).
            message.pointee.log.responseException = payload.text(name)
            message.pointee.log.requestResource = BSONText.of(payload, cursor.rest).text
        case .update:
            guard let name = cursor.cString(payload), cursor.skip(4) else { break }
            message.pointee.log.responseException = payload.text(name)
            message.pointee.log.requestResource = BSONText.of(payload, cursor.rest).text
        case .getMore, .delete:
            // The header is read as text (trap).
            var header = ByteCursor(payload, at: start, end: start &+ 20)
            guard let text = header.cString(payload) else { return false }
            message.pointee.log.requestResource = payload.text(text)
        default: break
        }
        return true
    }

    /// Sections up to the first document; a sequence before it is stepped over.
    private func readSections(
        _ payload: RawSpan, _ cursor: inout ByteCursor, _ message: UnsafeMutablePointer<L7Message>
    ) {
        while let kind = cursor.u8(payload) {
            guard kind == 0 else {
                guard kind == 1 else { return }
                let start = cursor.at
                guard let size = cursor.le32(payload), let name = cursor.cString(payload) else { return }
                if !isRequest { message.pointee.log.responseException = payload.text(name) }
                guard cursor.skip(start &+ Int(size) &- cursor.at) else { return }
                continue
            }
            let document = BSONText.of(payload, cursor.rest)
            guard !isRequest else {
                message.pointee.log.requestResource = document.text
                return
            }
            message.pointee.log.responseCode = document.outcome.code ?? 0
            if let error = document.outcome.errorMessage {
                message.pointee.log.responseException = error
                message.pointee.log.responseStatus = L7ResponseStatus.clientError.rawValue
            } else {
                message.pointee.log.responseResult = document.text
            }
            return
        }
    }

    /// Flags, cursor, position, number of documents, documents.
    private func readReply(_ payload: RawSpan, to end: Int, _ message: UnsafeMutablePointer<L7Message>) {
        var cursor = ByteCursor(payload, at: start &+ Self.headerLength, end: end)
        guard let flags = cursor.le32(payload) else { return }
        // The flags are compared as a number, so that none at all looks like the first one (trap).
        switch flags {
        case 0: message.pointee.log.responseException = "CursorNotFound"
        case 1: message.pointee.log.responseException = "QueryFailure"
        case 2: message.pointee.log.responseException = "ShardConfigStale"
        default: break
        }
        guard cursor.skip(16), !cursor.isAtEnd else { return }
        message.pointee.log.responseResult = BSONText.of(payload, cursor.rest).text
    }
}

/// Numbers and names of operations.
enum MongoDBOperation: UInt32 {
    case reply = 1
    case legacyMessage = 1000
    case update = 2001
    case insert = 2002
    case reserved = 2003
    case query = 2004
    case getMore = 2005
    case delete = 2006
    case killCursors = 2007
    case command = 2010
    case commandReply = 2011
    case compressed = 2012
    case message = 2013

    var name: String {
        switch self {
        case .reply: "OP_REPLY"
        case .legacyMessage: "DB_MSG"
        case .update: "OP_UPDATE"
        case .insert: "OP_INSERT"
        case .reserved: "RESERVED"
        case .query: "OP_QUERY"
        case .getMore: "OP_GET_MORE"
        case .delete: "OP_DELETE"
        case .killCursors: "OP_KILL_CURSORS"
        case .command: "OP_COMMAND"
        case .commandReply: "OP_COMMANDREPLY"
        case .compressed: "OP_COMPRESSED"
        case .message: "OP_MSG"
        }
    }
}
