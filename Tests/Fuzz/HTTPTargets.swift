import Model
import Samples

/// Frames, header blocks, and what runs over HTTP/2.
struct HTTP2Target: L7Target {
    static let (name, proto) = ("http2", L7Protocol.http2)

    static var conversations: [[(fromServer: Bool, payload: [UInt8])]] {
        typealias H2 = SampleHTTP2
        let grpc =
            H2.request("/shop.Cart/Add", isPost: true) + H2.field(31, "application/grpc")
            + H2.field("traceparent", "00-aa-bb-01")
        return [
            [
                (false, H2.preface + H2.settings + H2.headers(1, H2.request("/a/b?c=d"), flags: 5)),
                (true, H2.settings + H2.headers(1, [0x88] + H2.field(28, "9")) + H2.data(1, 9)),
                (false, H2.headers(3, [0x82, 0x86, 0xbf, 0xbe], flags: 5) + H2.headers(5, H2.request("/c"), flags: 5)),
                (true, H2.headers(5, [0x8d, 0xbe]) + H2.headers(3, [0x88]) + H2.data(5, 3) + H2.data(3, 4)),
            ],
            [
                (false, H2.headers(1, grpc) + H2.data(1, 12)),
                (true, H2.headers(1, [0x88]) + H2.data(1, 300, ends: false).prefix(100)),
                (true, [UInt8](repeating: 0, count: 209) + H2.headers(1, H2.field("grpc-status", "5"), flags: 5)),
                (false, H2.headers(3, Array(grpc[..<20]), flags: 0) + H2.frame(9, 4, 3, Array(grpc[20...]))),
                (true, H2.frame(5, 4, 1, [0, 0, 0, 2] + H2.request("/pushed"))),
                (false, H2.headers(5, [3, 0, 0, 0, 0, 16] + H2.request("/padded") + [0, 0, 0], flags: 0x2d)),
            ],
        ]
    }
}
