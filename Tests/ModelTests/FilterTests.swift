import Model
import Testing

/// The filter language over printed rows. Source: design.md 2.3.
@Suite struct FilterTests {
    static let columns = NamedFields.Columns([
        "ip4_0", "ip4_1", "ip6_0", "ip6_1", "is_ipv4", "client_port", "server_port", "protocol", "l7_protocol",
        "response_status", "response_code", "response_duration", "request_type", "request_domain",
        "request_resource", "byte_tx", "byte_rx", "close_type", "pod_0", "is_tls",
    ])

    static let request = NamedFields(
        columns: columns,
        values: [
            .text("10.1.2.3"), .text("192.168.0.9"), .text("::"), .text("::"), .uint(1), .uint(40000), .uint(8080),
            .uint(6), .uint(20), .uint(3), .int(503), .uint(120_000), .text("GET"), .text("shop.example"),
            .text("/cart/items?id=7"), .uint(600), .uint(900), .uint(2), .text("cart-6f7"), .uint(0),
        ])

    static let query = NamedFields(
        columns: columns,
        values: [
            .text("0.0.0.0"), .text("0.0.0.0"), .text("fe80::1"), .text("2001:db8::53"), .uint(0), .uint(5353),
            .uint(53), .uint(17), .uint(120), .uint(0), .int(0), .uint(900), .text("AAAA"), .text("db.example"),
            .text("db.example"), .uint(60), .uint(120), .uint(5), .text(""), .uint(1),
        ])

    @Test(arguments: [
        ("proto:http status:>=500 pod:cart* rrt:>100ms src:10.0.0.0/8 !port:53 items", true, false),
        ("", true, true),
        ("proto:dns", false, true),
        ("proto:tcp", true, false),
        ("proto:17", false, true),
        ("l7:http*", true, false),
        ("status:error", true, false),
        ("status:ok", false, true),
        ("status:5xx", true, false),
        ("status:500..599", true, false),
        ("status:404,503", true, false),
        ("status!=503", false, true),
        ("rrt:>0.1s", true, false),
        ("rrt<1ms", false, true),
        ("rrt:>=120000", true, false),
        ("port:53,8080", true, true),
        ("sport:40000", true, false),
        ("dport>=1024", true, false),
        ("ip:192.168.0.0/16", true, false),
        ("ip:0.0.0.0/0", true, false),
        ("ip:::/0", false, true),
        ("server:2001:db8::/32", false, true),
        ("client:10.1.*", true, false),
        ("10.1.2.3", true, false),
        ("10.1.2.0/30", true, false),
        ("10.1.2.30", false, false),
        ("fe80::1", false, true),
        ("bytes:>1k", true, false),
        ("bytes:1.5k", true, false),
        ("bytes:<=0.2kB", false, true),
        ("byte_tx:600", true, false),
        ("close:server_rst", true, false),
        ("close:*rst*", true, false),
        ("close:forced_report", false, true),
        ("pod:*", true, false),
        ("!pod:*", false, true),
        ("host:SHOP.example", true, false),
        ("path~cart", true, false),
        ("path:/cart/*", true, false),
        ("path:cart", false, false),
        ("path:\"/cart/items?id=7\"", true, false),
        ("tls:yes", false, true),
        ("proto:dns or status:>=500", true, true),
        ("(proto:dns or proto:http) rrt:>1ms", true, false),
        ("!(proto:dns | proto:mysql)", true, false),
        ("not proto:dns and GET", true, false),
        ("example", true, true),
        ("EXAMPLE", true, true),
        ("ex?mple", true, true),
        ("\"no such\"", false, false),
        ("rtt:>1ms", false, false),
        ("method:get,post", true, false),
    ])
    func matches(text: String, onRequest: Bool, onQuery: Bool) throws {
        let filter = try Filter(text)
        #expect(filter.matches(Self.request) == onRequest, "\(text) on the HTTP request")
        #expect(filter.matches(Self.query) == onQuery, "\(text) on the DNS query")
    }

    @Test(arguments: [
        ("stauts:404", 0, 6, "status"),
        ("proto:http rrt:>fast", 16, 4, "unit"),
        ("proto:htp", 6, 3, "http"),
        ("status:", 0, 7, "status:>=500"),
        ("ip:10.0.0.0/33", 3, 11, "10.0.0.0/8"),
        ("a (b", 2, 1, ")"),
        ("a b)", 3, 1, "remove"),
        ("\"open", 0, 5, "\""),
        ("host:>x", 6, 1, "host:abc*"),
        ("a or", 2, 1, "both sides"),
        ("!", 0, 1, "!port:53"),
        ("port:9..1", 5, 4, "smaller first"),
    ])
    func explains(text: String, position: Int, length: Int, hint: String) {
        let error = #expect(throws: FilterError.self) { _ = try Filter(text) }
        guard let error else { return }
        #expect(error.position == position, "\(text): \(error.sentence)")
        #expect(error.length == length, "\(text): \(error.sentence)")
        #expect(error.sentence.contains(hint), "\(text): \(error.sentence)")
        #expect(error.exitCode == .usage)
    }

    @Test func survivesAnyText() {
        var seed: UInt64 = 42
        let alphabet = Array("a:()!\"'\\,<>=~*?|or1.5ms/ \u{1F600}_")
        for _ in 0..<20_000 {
            var text = ""
            for _ in 0..<Int(seed % 24) {
                seed = seed &* 6_364_136_223_846_793_005 &+ 1
                text.append(alphabet[Int(seed >> 33) % alphabet.count])
            }
            seed = seed &* 6_364_136_223_846_793_005 &+ 99
            if let filter = try? Filter(text) { _ = filter.matches(Self.request) }
        }
        _ = try? Filter(String(repeating: "(", count: 4000))
        _ = try? Filter(String(repeating: "!", count: 4000))
        #expect(throws: FilterError.self) { try Filter(String(repeating: "x", count: 5000)) }
    }

    @Test func completesKeysAndValues() {
        let keys = FilterCompletion("proto:http st", cursor: 13)
        #expect(keys.range == 11..<13)
        #expect(keys.candidates.map(\.text).contains("status:"))
        let values = FilterCompletion("!proto:my", cursor: 9)
        #expect(values.range == 7..<9)
        #expect(values.candidates.map(\.text) == ["mysql"])
        let known = FilterCompletion("host:", cursor: 5) { _ in ["shop.example", "two words"] }
        #expect(known.candidates.map(\.text) == ["shop.example", "\"two words\""])
    }

    @Test func masksNetworks() throws {
        let six = try #require(Network("2001:db8::/33"))
        let inside = try #require(IPAddress.parse("2001:db8:7fff::1"))
        let outside = try #require(IPAddress.parse("2001:db8:8000::1"))
        #expect(six.contains(FilterAddress(address: inside.address, isIPv6: true)))
        #expect(!six.contains(FilterAddress(address: outside.address, isIPv6: true)))
        #expect(Network("10.0.0.0/0")?.contains(FilterAddress(address: IPAddress(v4: 1), isIPv6: false)) == true)
        #expect(Network("::/0")?.contains(FilterAddress(address: outside.address, isIPv6: true)) == true)
        #expect(Network("10.0.0.0/-1") == nil)
        #expect(Network("10.0.0") == nil)
    }
}
