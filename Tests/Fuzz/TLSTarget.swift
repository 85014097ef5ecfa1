import Model
import Samples

/// Records, hellos and certificates.
struct TLSTarget: L7Target {
    static let (name, proto) = ("tls", L7Protocol.tls)

    static var conversations: [[(fromServer: Bool, payload: [UInt8])]] {
        typealias TLS = SampleTLS
        let hello = TLS.record(
            22,
            TLS.clientHello(name: "shop.example", protocols: ["h2", "http/1.1"], versions: [0x1a1a, 0x0304, 0x0303]))
        let certificates = TLS.certificates([TLS.certificate])
        return [
            [
                (false, hello),
                (true, TLS.record(22, TLS.serverHello(suite: 0xc02f, name: "h2") + certificates + TLS.message(14, []))),
                (false, TLS.record(22, certificates + TLS.message(16, [1])) + TLS.changeCipherSpec + TLS.finished),
                (true, TLS.changeCipherSpec + TLS.finished), (false, TLS.secret),
            ],
            [
                (false, Array(hello[..<60])), (false, Array(hello[60...])),
                (
                    true,
                    TLS.record(22, TLS.serverHello(suite: 0x1301, chosen: 0x0304)) + TLS.changeCipherSpec + TLS.secret
                ),
                (false, TLS.changeCipherSpec + TLS.secret),
            ],
            [(false, hello), (true, TLS.alert(40)), (false, TLS.alert(48))],
        ]
    }
}
