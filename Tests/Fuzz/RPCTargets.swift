import Model

/// Hexadecimal digits, and texts in single quotes; blanks outside of texts are for the reader.
private func bytes(_ notation: String) -> [UInt8] {
    var out: [UInt8] = []
    for (number, part) in notation.split(separator: "'", omittingEmptySubsequences: false).enumerated() {
        if number % 2 == 1 {
            out.append(contentsOf: part.utf8)
        } else {
            let digits = part.compactMap(\.hexDigitValue)
            for at in stride(from: 0, to: digits.count - 1, by: 2) {
                out.append(UInt8(digits[at] << 4 | digits[at + 1]))
            }
        }
    }
    return out
}

struct DubboTarget: L7Target {
    static let (name, proto) = ("dubbo", L7Protocol.dubbo)

    private static func frame(_ flags: UInt8, _ status: UInt8, _ notation: String) -> [UInt8] {
        let body = bytes(notation)
        return bytes("dabb") + [flags, status] + bytes("0000000000000007 000000") + [UInt8(body.count)] + body
    }

    static let conversations: [[(fromServer: Bool, payload: [UInt8])]] = [
        [
            (false, frame(0xc2, 0, "05 '2.0.2' 07 'com.x.S' 05 '0.0.0' 03 'get' 03 'sw8' 0d '1-YQ==-Yg==-3'")),
            (true, frame(0x02, 20, "91")),
        ],
        [
            (
                false,
                frame(
                    0xc3, 0,
                    "aced0005 7730 00000005 0005 '2.0.2' 00000003 0003 'a.B' 00000001 0001 '0' 00000003 0003 'get'"
                        + "'sw8' 74 000d '1-YQ==-Yg==-3'")
            ), (true, frame(0x03, 50, "91")),
        ],
        [
            (
                false,
                frame(
                    0xd7, 0,
                    "00000006 4e '2.0.2' 00000004 4c 'a.B' 00000002 4a '0' 00000004 4c 'get' 'sw8' 79 0d '1-YQ==-Yg==-3' 91"
                )
            ), (false, frame(0xc8, 0, "'2.0.' b2 '612ec2' b0 '67e5' f4 '0123456789012345678901234567890123456789'")),
        ],
    ]
}

struct SofaRPCTarget: L7Target {
    static let (name, proto) = ("sofarpc", L7Protocol.sofaRPC)
    static let conversations: [[(fromServer: Bool, payload: [UInt8])]] = [
        [
            (
                false,
                bytes(
                    "01 01 0001 01 00000002 01 00002710 0001 0048 00000028 'c' 00000018 'sofa_head_target_service'"
                        + "00000003 'a.B' 00000015 'sofa_head_method_name' 00000004 'call'"
                        + "4f91 'S' 92 0a 'methodName' 01 'x' 6f90 03 'get' 0b 'sofaTraceId' 02 't1'")
            ), (true, bytes("01 00 0002 01 00000002 01 0000 0001 0000 00000001 'co'")),
        ]
    ]
}

struct FastCGITarget: L7Target {
    static let (name, proto) = ("fastcgi", L7Protocol.fastCGI)
    static let conversations: [[(fromServer: Bool, payload: [UInt8])]] = [
        [
            (
                false,
                bytes(
                    "01 01 0001 0008 00 00 0001000000000000 01 04 0001 0022 02 00 0e 03 'REQUEST_METHODGET'"
                        + "0b 02 'REQUEST_URI/a' 00 00 01 04 0001 0000 00 00")
            ),
            (true, bytes("01 06 0001 0011 00 00 'Status: 404 x' 0d0a0d0a 01 03 0001 0008 00 00 00000000 00000000")),
        ]
    ]
}

struct BrpcTarget: L7Target {
    static let (name, proto) = ("brpc", L7Protocol.brpc)
    static let conversations: [[(fromServer: Bool, payload: [UInt8])]] = [
        [
            (
                false,
                bytes("'PRPC' 00000028 00000027 0a1d 0a13 'example.EchoService' 1204 'Echo' 1800 1800 208280808010 00")
            ), (true, bytes("'PRPC' 0000000d 0000000c 1202 0800 1800 208280808010 00")),
        ]
    ]
}

struct TarsTarget: L7Target {
    static let (name, proto) = ("tars", L7Protocol.tars)
    static let conversations: [[(fromServer: Bool, payload: [UInt8])]] = [
        [
            (false, bytes("00000018 1001 2c 3c 400f 5605 'a.b.C' 6603 'get' 7d00 0c")),
            (true, bytes("00000010 1001 2c 300f 4c 5c 6d00 0c 780c")),
        ]
    ]
}

struct SomeIPTarget: L7Target {
    static let (name, proto) = ("someip", L7Protocol.someIp)
    static let conversations: [[(fromServer: Bool, payload: [UInt8])]] = [
        [
            (false, bytes("00295004 00000008 000100ab 01010000")),
            (true, bytes("00295004 0000000a 000100ab 01018000 0102 00295004 00000008 00000000 01010200")),
        ]
    ]
}
