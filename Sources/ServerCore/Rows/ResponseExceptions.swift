import Model

/// Texts of protocol response codes, for failed responses that bring none. Source: ingester.md 5.2.
enum ResponseExceptions {
    /// Empty unless `status` is a client or server error and the protocol has a text for the code.
    static func text(protocol number: UInt8, version: String, status: UInt8, code: Int32) -> String {
        guard
            status == L7ResponseStatus.serverError.rawValue || status == L7ResponseStatus.clientError.rawValue,
            let known = L7Protocol(rawValue: number)
        else { return "" }
        switch known {
        case .http1, .http2: return code >= 400 ? httpTexts[code] ?? "" : ""
        case .dns: return dnsText(code)
        case .dubbo: return dubboTexts[code] ?? ""
        case .kafka: return kafkaTexts[code] ?? ""
        case .mqtt where code == 0: return ""
        case .mqtt: return (version == "5" ? mqttV5Texts[code] : mqttV3Texts[code]) ?? ""
        default: return ""
        }
    }

    private static func dnsText(_ code: Int32) -> String {
        switch code {
        case 3841...4095: "Private Use"
        case 22...3840, 4096...: "available for assignment"
        default: dnsTexts[code] ?? ""
        }
    }
}
