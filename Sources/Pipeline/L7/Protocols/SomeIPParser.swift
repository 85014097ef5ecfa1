import Model

/// SOME/IP over UDP and TCP. Stateless. Source: agent-l7-protocols.md 24, AUTOSAR "SOME/IP Protocol Specification".
struct SomeIPParser {
    /// The 16 bytes in front of a payload.
    private struct Header {
        static let length = 16
        /// Longer payloads are not believed.
        static let maxLength = 16 << 20

        let service: UInt16
        let method: UInt16
        /// Bytes behind this field.
        let rest: Int
        let client: UInt16
        let session: UInt16
        let interfaceVersion: UInt8
        let type: UInt8
        let returnCode: UInt8

        init?(_ payload: RawSpan, at: Int) {
            guard payload.byteCount &- at >= Header.length, payload.u8(at: at &+ 12) == 1 else { return nil }
            service = payload.be16(at: at)
            method = payload.be16(at: at &+ 2)
            rest = Int(payload.be32(at: at &+ 4))
            client = payload.be16(at: at &+ 8)
            session = payload.be16(at: at &+ 10)
            interfaceVersion = payload.u8(at: at &+ 13)
            type = payload.u8(at: at &+ 14)
            returnCode = payload.u8(at: at &+ 15)
            guard rest >= 8, rest <= Header.maxLength, !typeName.isEmpty, returnCode < 0x5f else { return nil }
            // Only answers tell how a call went.
            if isFromClient || kind == .notification, returnCode != 0 { return nil }
        }

        enum Kind: UInt8 {
            case request = 0
            case requestNoReturn = 1
            case notification = 2
            case response = 0x80
            case error = 0x81
        }

        /// Part of a message that is longer than a datagram.
        var isSegment: Bool { type & 0x20 != 0 }
        var kind: Kind? { Kind(rawValue: type & ~0x20) }
        var isFromClient: Bool { kind == .request || kind == .requestNoReturn }
        /// Sent between the two ends of a connection to find the starts of messages again.
        var isMagicCookie: Bool { service == 0xffff && (method == 0 || method == 0x8000) }

        /// Empty when there is no such type.
        var typeName: String {
            switch type {
            case 0x00: "Request"
            case 0x01: "RequestNoReturn"
            case 0x02: "Notification"
            case 0x80: "Response"
            case 0x81: "Error"
            case 0x20: "TpRequest"
            case 0x21: "TpRequestNoReturn"
            case 0x22: "TpNotification"
            case 0xa0: "TpResponse"
            case 0xa1: "TpError"
            default: ""
            }
        }
    }

    /// Whole messages; behind them a datagram may have the padding of a short frame, and a long segment ends within one.
    static func detects(_ payload: RawSpan, _ context: L7ParseContext) -> Bool {
        var (at, firstEnd) = (0, 0)
        while let header = Header(payload, at: at), header.service != 0 {
            at &+= 8 &+ header.rest
            if firstEnd == 0 { firstEnd = at }
        }
        guard at > 0 else { return false }
        let left = context.payloadSize &- at
        guard context.l4Protocol == .tcp else { return left >= 0 && left < Header.length }
        // A stream may end within its second message.
        if context.followsStream, left < 0, at > firstEnd { return true }
        return left == 0 || left < Header.length && context.payloadSize >= longSegment
    }

    /// Shorter segments are sent at the end of a message.
    private static let longSegment = 512

    /// Who sent a payload that was detected.
    static func direction(of payload: RawSpan) -> PacketDirection {
        (Header(payload, at: 0)?.isFromClient ?? true) ? .clientToServer : .serverToClient
    }

    func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        var at = 0
        let before = out.messages.count
        while let header = Header(payload, at: at) {
            // Of the segments of one message the first is logged.
            let isFirst = !header.isSegment || payload.byteCount &- at >= 20 && payload.be32(at: at &+ 16) >> 4 == 0
            if !header.isMagicCookie, isFirst { Self.log(header, context, offset: at, out.messages.add()) }
            at &+= 8 &+ header.rest
        }
        return out.messages.count > before ? .parsed : .failed
    }

    static func frame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        guard payload.byteCount &- at >= Header.length else { return .cut }
        return Header(payload, at: at).map { .next(at &+ 8 &+ $0.rest) } ?? .foreign
    }

    private static func log(
        _ header: Header, _ context: L7ParseContext, offset: Int, _ message: UnsafeMutablePointer<L7Message>
    ) {
        message.pointee.sessionID = UInt32(header.client) << 16 | UInt32(header.session)
        message.pointee.hasSessionID = true
        message.pointee.tcpSeqOffset = UInt32(truncatingIfNeeded: offset)
        message.pointee.log.version = "Protocol 1 Interface \(header.interfaceVersion)"
        message.pointee.log.requestType = header.typeName
        message.pointee.log.requestResource = String(header.service)
        message.pointee.log.endpoint = String(header.method)
        message.pointee.log.changeExt { ext in
            ext.requestID = UInt32(header.session)
            ext.attributeNames = clientAttribute
            ext.attributeValues = [String(header.client)]
        }
        let length = Int32(clamping: header.rest)
        switch header.kind {
        case .request, .requestNoReturn:
            message.pointee.set(header.kind == .request ? .request : .session, isFromClient: true, context)
            message.pointee.log.requestLength = length
        case .notification:
            message.pointee.set(.session, isFromClient: false, context)
            message.pointee.log.responseLength = length
        case .response, .error, .none:
            message.pointee.set(.response, isFromClient: false, context)
            message.pointee.log.responseLength = length
            message.pointee.log.responseCode = Int32(header.returnCode)
            message.pointee.log.responseStatus = status(of: header.returnCode).rawValue
            message.pointee.log.responseException = text(of: header.returnCode)
        }
    }

    /// Shared by all messages.
    private static let clientAttribute = ["client_id"]

    private static func status(of code: UInt8) -> L7ResponseStatus {
        switch code {
        case 0: .ok
        case 2, 3, 7, 8, 10: .clientError
        default: .serverError
        }
    }

    /// As the standard describes its return codes.
    private static func text(of code: UInt8) -> String {
        switch code {
        case 0x00: "No error occurred"
        case 0x01: "An unspecified error occurred"
        case 0x02: "The requested Service ID is unknown"
        case 0x03: "The requested Method ID is unknown"
        case 0x04: "Service ID and Method ID are known. Application not running"
        case 0x05: "System running the service is not reachable"
        case 0x06: "A timeout occurred"
        case 0x07: "Version of SOME/IP protocol not supported"
        case 0x08: "Interface version mismatch"
        case 0x09: "Deserialization error, so that payload cannot be deserialized"
        case 0x0a: "An unexpected message type was received"
        case 0x0b: "Repeated E2E calculation error"
        case 0x0c: "Wrong E2E sequence"
        case 0x0d: "E2E error, not further specified"
        case 0x0e: "E2E not available"
        case 0x0f: "No new data for E2E calculation present"
        case 0x10...0x1f: "Reserved for generic SOME/IP errors"
        default: "Reserved for specific errors of services and methods"
        }
    }
}
