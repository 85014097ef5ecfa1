/// Payloads, made once and written many times.
struct Texts {
    /// Bytes that no protocol would claim; a payload without text is a piece of them.
    let noise: [UInt8]
    let httpRequests: [[UInt8]]
    let dnsNames: [[UInt8]]

    static let hosts = ["shop.example.com", "api.example.com", "static.example.org", "img.example.net"]
    static let statuses: [(code: Int, reason: String, share: Int)] = [
        (200, "OK", 900), (302, "Found", 30), (404, "Not Found", 50), (500, "Internal Server Error", 20),
    ]

    init(random: inout Random) {
        noise = (0..<(1 << 17)).map { _ in UInt8(truncatingIfNeeded: random.next() >> 24) | 0x80 }
        httpRequests = (0..<256).map { number in
            let method = number % 8 == 7 ? "POST" : "GET"
            let body = method == "POST" ? "{\"item\":\(number)}" : ""
            let length = body.isEmpty ? "" : "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n"
            return Array(
                """
                \(method) /v1/items/\(number)/detail?page=\(number % 17) HTTP/1.1\r
                Host: \(Self.hosts[number % Self.hosts.count])\r
                User-Agent: trafficgen/1.0\r
                Accept: */*\r
                \(length)\r
                \(body)
                """.utf8)
        }
        dnsNames = (0..<256).map { number in
            var name: [UInt8] = []
            for label in ["host\(number)", number % 3 == 0 ? "internal" : "www", "example", "com"] {
                name.append(UInt8(label.utf8.count))
                name += Array(label.utf8)
            }
            return name + [0]
        }
    }

    /// Head of an HTTP response whose body has `length` bytes.
    static func httpHead(status: Int, length: Int) -> [UInt8] {
        let (code, reason, _) = statuses[status]
        return Array(
            """
            HTTP/1.1 \(code) \(reason)\r
            Server: example\r
            Content-Type: application/octet-stream\r
            Content-Length: \(length)\r
            \r

            """.utf8)
    }

    func dnsQuery(id: UInt16, name: Int) -> [UInt8] {
        Self.dnsHeader(id: id, flags: 0x0100, answers: 0) + dnsNames[name % dnsNames.count] + [0, 1, 0, 1]
    }

    /// One A record, or NXDOMAIN.
    func dnsAnswer(id: UInt16, name: Int, exists: Bool) -> [UInt8] {
        let question = dnsNames[name % dnsNames.count] + [0, 1, 0, 1]
        guard exists else { return Self.dnsHeader(id: id, flags: 0x8183, answers: 0) + question }
        return Self.dnsHeader(id: id, flags: 0x8180, answers: 1) + question
            + [0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 10, 9, 8, UInt8(name & 255)]
    }

    private static func dnsHeader(id: UInt16, flags: UInt16, answers: UInt8) -> [UInt8] {
        [UInt8(id >> 8), UInt8(id & 255), UInt8(flags >> 8), UInt8(flags & 255), 0, 1, 0, answers, 0, 0, 0, 0]
    }
}
