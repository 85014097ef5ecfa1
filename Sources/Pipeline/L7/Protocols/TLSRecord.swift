import Model

/// One record. Source: RFC 8446 5.1.
struct TLSRecord {
    enum Kind {
        static let changeCipherSpec: UInt8 = 20
        static let alert: UInt8 = 21
        static let handshake: UInt8 = 22
        static let applicationData: UInt8 = 23
    }

    static let headerLength = 5
    /// Largest text with what ciphers add to it.
    private static let longest = 16384 + 2048

    let kind: UInt8
    let bodyStart: Int
    let end: Int

    /// Nil: no record stands there, or its header is cut.
    init?(_ payload: RawSpan, at: Int) {
        guard payload.byteCount &- at >= Self.headerLength else { return nil }
        kind = payload.u8(at: at)
        let length = Int(payload.be16(at: at &+ 3))
        guard kind >= Kind.changeCipherSpec, kind <= Kind.applicationData, payload.u8(at: at &+ 1) == 3,
            payload.u8(at: at &+ 2) <= 4, length > 0, length <= Self.longest
        else { return nil }
        bodyStart = at &+ Self.headerLength
        end = bodyStart &+ length
    }

    func body(_ payload: RawSpan) -> Range<Int> { bodyStart..<min(end, payload.byteCount) }
}

/// Messages of a handshake. Source: RFC 5246 7.4, RFC 8446 4.
enum TLSHandshake {
    static let clientHello = 1
    static let serverHello = 2
    static let certificate = 11
    static let serverHelloDone = 14

    static let headerLength = 4

    static func name(_ type: Int) -> String {
        switch type {
        case 0: "HelloRequest"
        case 1: "ClientHello"
        case 2: "ServerHello"
        case 4: "NewSessionTicket"
        case 5: "EndOfEarlyData"
        case 8: "EncryptedExtensions"
        case 11: "Certificate"
        case 12: "ServerKeyExchange"
        case 13: "CertificateRequest"
        case 14: "ServerHelloDone"
        case 15: "CertificateVerify"
        case 16: "ClientKeyExchange"
        case 20: "Finished"
        case 21: "CertificateURL"
        case 22: "CertificateStatus"
        case 23: "SupplementalData"
        case 24: "KeyUpdate"
        case 254: "MessageHash"
        default: "Unknown(\(type))"
        }
    }
}

/// Source: RFC 5246 7.2, RFC 8446 6.
enum TLSAlert {
    /// Told by the way, or at the end of a connection that worked.
    static func isHarmless(level: UInt8, _ code: UInt8) -> Bool {
        level == 1 && [0, 90, 100, 112].contains(code)
    }

    static func name(_ code: UInt8) -> String {
        switch code {
        case 0: "close_notify"
        case 10: "unexpected_message"
        case 20: "bad_record_mac"
        case 21: "decryption_failed"
        case 22: "record_overflow"
        case 30: "decompression_failure"
        case 40: "handshake_failure"
        case 41: "no_certificate"
        case 42: "bad_certificate"
        case 43: "unsupported_certificate"
        case 44: "certificate_revoked"
        case 45: "certificate_expired"
        case 46: "certificate_unknown"
        case 47: "illegal_parameter"
        case 48: "unknown_ca"
        case 49: "access_denied"
        case 50: "decode_error"
        case 51: "decrypt_error"
        case 60: "export_restriction"
        case 70: "protocol_version"
        case 71: "insufficient_security"
        case 80: "internal_error"
        case 86: "inappropriate_fallback"
        case 90: "user_canceled"
        case 100: "no_renegotiation"
        case 109: "missing_extension"
        case 110: "unsupported_extension"
        case 111: "certificate_unobtainable"
        case 112: "unrecognized_name"
        case 113: "bad_certificate_status_response"
        case 114: "bad_certificate_hash_value"
        case 115: "unknown_psk_identity"
        case 116: "certificate_required"
        case 120: "no_application_protocol"
        default: "Unknown(\(code))"
        }
    }
}
