/// Files for what the flow table costs: many connections that end at once, or many that stay.
///
/// Written as it is made, in the order of time, at an even rate. TCP over IPv4 without payload of any known protocol; two
/// thousand servers. All numbers here are part of the files' definition (Benchmarks/README.md).
struct FlowScale {
    let flows: Int
    let seconds: Int

    private static let payload: [UInt8] = Array(repeating: 0x2e, count: 64)

    private func ends(_ index: Int) -> Ends {
        Ends(
            isIPv6: false, client: .init(high: 0, low: 0x0a00_0000 + UInt64(256 + index / 60_000)),
            server: .init(high: 0, low: 0x0a80_0000 + UInt64(256 + index % 2000)),
            clientPort: UInt16(1024 + index % 60_000), serverPort: 443)
    }

    /// Connections of six packets, SYN to the last ACK, one after the other with a hundred open at a time.
    func writeConnections(to writer: inout PcapWriter) throws {
        let total = flows * 6
        let lag = 100
        var written = 0
        for turn in 0..<(flows + 5 * lag) {
            for stage in 0..<6 {
                let index = turn - stage * lag
                guard index >= 0, index < flows else { continue }
                try write(stage, of: index, atUs: time(written, of: total), to: &writer)
                written += 1
            }
        }
    }

    private func write(_ stage: Int, of index: Int, atUs time: UInt64, to writer: inout PcapWriter) throws {
        let flags = [
            Flags.syn, Flags.syn | Flags.ack, Flags.ack, Flags.fin | Flags.ack, Flags.fin | Flags.ack, Flags.ack,
        ]
        let client: [UInt32] = [0, 1, 1, 1, 2, 2]
        let server: [UInt32] = [0, 0, 1, 1, 1, 2]
        let fromClient = stage != 1 && stage != 4
        let (own, other) = fromClient ? (client[stage], server[stage]) : (server[stage], client[stage])
        try writer.tcp(
            atUs: time, ends(index), fromClient: fromClient, sequence: 1000 + own, acknowledge: 1000 + other,
            flags: flags[stage], payload: UnsafeRawBufferPointer(start: nil, count: 0))
    }

    /// Every flow opens within the first half; then segments of 64 bytes by all in turn, each answered by an ACK.
    func writeLiving(packets: Int, to writer: inout PcapWriter) throws {
        // A walk over all flows in an order that no cache can foresee.
        var stride = 618_033 % max(flows, 1) | 1
        while greatestCommonDivisor(stride, flows) != 1 { stride += 2 }
        var written = 0
        for index in 0..<flows {
            for stage in 0..<3 {
                try write(stage, of: index, atUs: time(written, of: packets), to: &writer)
                written += 1
            }
        }
        var index = 0
        var round: UInt32 = 0
        try Self.payload.withUnsafeBytes { payload in
            while written + 2 <= packets {
                let sent = 1001 + round * UInt32(payload.count)
                try writer.tcp(
                    atUs: time(written, of: packets), ends(index), fromClient: true, sequence: sent, acknowledge: 1001,
                    flags: Flags.ack | Flags.psh, payload: payload)
                try writer.tcp(
                    atUs: time(written + 1, of: packets), ends(index), fromClient: false, sequence: 1001,
                    acknowledge: sent + UInt32(payload.count), flags: Flags.ack,
                    payload: UnsafeRawBufferPointer(start: nil, count: 0))
                written += 2
                index = (index + stride) % flows
                if index == 0 { round += 1 }
            }
        }
    }

    private func time(_ number: Int, of total: Int) -> UInt64 { UInt64(number * seconds) * 1_000_000 / UInt64(total) }

    private func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : greatestCommonDivisor(b, a % b) }
}
