/// Records of TLS, made by hand. Source: RFC 5246, RFC 8446.
package enum SampleTLS {
    package static let changeCipherSpec: [UInt8] = [20, 3, 3, 0, 1, 1]
    /// What nobody can read: the end of a handshake of TLS 1.2, or anything of TLS 1.3.
    package static let finished = record(22, [UInt8](repeating: 0xa5, count: 40))
    package static let secret = record(23, [UInt8](repeating: 0xa5, count: 40))

    package static func record(_ kind: UInt8, _ body: [UInt8]) -> [UInt8] { [kind, 3, 3] + vector16(body) }

    package static func message(_ type: UInt8, _ body: [UInt8]) -> [UInt8] { [type] + vector24(body) }

    package static func alert(_ code: UInt8, level: UInt8 = 2) -> [UInt8] { record(21, [level, code]) }

    /// - Parameter versions: of the extension; 0x?a?a is none.
    package static func clientHello(
        name: String, protocols: [String] = [], versions: [UInt16] = [], suites: [UInt16] = [0x1301, 0xc02f]
    ) -> [UInt8] {
        let list = suites.flatMap(bytes)
        var extensions: [UInt8] = [0x0a, 0x0a, 0, 0]
        if !name.isEmpty { extensions += [0, 0] + vector16(vector16([0] + vector16(Array(name.utf8)))) }
        if !protocols.isEmpty {
            extensions += [0, 16] + vector16(vector16(protocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }))
        }
        if !versions.isEmpty {
            let all = versions.flatMap(bytes)
            extensions += [0, 43] + vector16([UInt8(all.count)] + all)
        }
        return message(1, [3, 3] + random + [0] + vector16(list) + [1, 0] + vector16(extensions))
    }

    package static func serverHello(
        suite: UInt16, version: UInt16 = 0x0303, chosen: UInt16? = nil, name: String = ""
    ) -> [UInt8] {
        var extensions: [UInt8] = []
        if let chosen { extensions += [0, 43] + vector16(bytes(chosen)) }
        if !name.isEmpty { extensions += [0, 16] + vector16(vector16([UInt8(name.utf8.count)] + Array(name.utf8))) }
        return message(2, bytes(version) + random + [0] + bytes(suite) + [0] + vector16(extensions))
    }

    package static func certificates(_ all: [[UInt8]]) -> [UInt8] { message(11, vector24(all.flatMap(vector24))) }

    private static let random = [UInt8](repeating: 7, count: 32)

    private static func bytes(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 255)] }
    private static func vector16(_ body: [UInt8]) -> [UInt8] { bytes(UInt16(body.count)) + body }
    private static func vector24(_ body: [UInt8]) -> [UInt8] { [UInt8(body.count >> 16 & 255)] + vector16(body) }

    /// Of openssl: shop.example and *.shop.example, 731 days.
    package static let certificate: [UInt8] = {
        let hex = """
            308201d230820178a00302010202147a34359d94a483baecf687979fa77abf8cfd92d1300a06082a8648ce3d040302302631
            0d300b060355040a0c04546573743115301306035504030c0c73686f702e6578616d706c65301e170d323631313238303530
            3630395a170d3238313132383035303630395a3026310d300b060355040a0c04546573743115301306035504030c0c73686f
            702e6578616d706c653059301306072a8648ce3d020106082a8648ce3d0301070342000426613e72d774ff6db3fd19716e4d
            67eeac384d7304e27b12f9169a03344c2f87565ec802f603be816f38691fea3397e45d9c098997d4c4dc2ae4a61f9284111a
            a38183308180301d0603551d0e04160414b26b9725124f796c242d909739cb4f9f063db013301f0603551d23041830168014
            b26b9725124f796c242d909739cb4f9f063db013300f0603551d130101ff040530030101ff302d0603551d1104263024820c
            73686f702e6578616d706c65820e2a2e73686f702e6578616d706c6587040a000001300a06082a8648ce3d04030203480030
            45022100dde4b1fa01d0215c599f920c521fc3df2916c95a52a5d459689ac42e3fe430d502204e7503481fc3003d81bd4f44
            66adf81658af75bc32d519a727ad0286837acba8
            """
        let digits = hex.compactMap(\.hexDigitValue)
        return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }()
}
