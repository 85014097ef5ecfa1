import Model
import Testing

@testable import Pipeline

/// Vectors of agent-flow.md 9.
struct ServiceTableTests {
    private func key(_ port: UInt16, _ last: UInt32) -> ServiceTable.Key {
        ServiceTable.Key(ip: IPAddress(v4: last), epc: 0, port: port)
    }

    @Test(arguments: [false, true]) func tcpInSequence(isIPv6: Bool) {
        var table = ServiceTable(serverPorts: [])
        let src = key(1234, 1)
        let dst = key(80, 2)
        let steps: [(flags: UInt8, isFirst: Bool, score: (UInt8, UInt8))] = [
            (TCPFlags.synAck, true, (255, 0)), (TCPFlags.synAck, false, (255, 0)), (0, true, (255, 0)),
            (0, false, (255, 0)),
            (TCPFlags.syn, true, (0, 1)), (TCPFlags.syn, false, (0, 1)), (0, true, (0, 2)), (0, false, (0, 2)),
        ]
        for step in steps {
            let score = table.tcpScore(
                isIPv6: isIPv6, isFirst: step.isFirst, flags: step.flags, toaFromSource: false,
                toaFromDestination: false,
                src: src, dst: dst)
            #expect(score == step.score)
        }
    }

    @Test(arguments: [false, true]) func udpInSequence(isIPv6: Bool) {
        var table = ServiceTable(serverPorts: [])
        let src = key(1234, 1)
        let dst = key(53, 2)
        #expect(table.udpScore(isIPv6: isIPv6, isFirst: true, src: src, dst: dst) == (0, 1))
        #expect(table.udpScore(isIPv6: isIPv6, isFirst: false, src: src, dst: dst) == (0, 1))
        #expect(table.udpScore(isIPv6: isIPv6, isFirst: true, src: src, dst: dst) == (0, 2))
    }

    @Test func configuredServerPort() {
        var table = ServiceTable(serverPorts: [80])
        let score = table.tcpScore(
            isIPv6: true, isFirst: true, flags: TCPFlags.psh, toaFromSource: false, toaFromDestination: false,
            src: key(80, 1),
            dst: key(53, 2))
        #expect(score.src == 252)
    }

    @Test func staysWithinItsCapacity() {
        var table = ServiceTable(serverPorts: [])
        for index in 0..<10_000 {
            _ = table.tcpScore(
                isIPv6: false, isFirst: true, flags: TCPFlags.synAck, toaFromSource: false, toaFromDestination: false,
                src: key(80, UInt32(index)), dst: key(4000, 0xffff))
        }
        // The newest is known, the oldest forgotten.
        #expect(table.lookup(isIPv6: true, src: key(80, 9999), dst: key(4000, 0xffff)) == (0, 0))
        #expect(table.lookup(isIPv6: false, src: key(80, 9999), dst: key(4000, 0xffff)).src == 255)
        #expect(table.lookup(isIPv6: false, src: key(80, 1), dst: key(80, 2)).src == 0)
    }
}
