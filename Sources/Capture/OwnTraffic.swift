import CLinux
package import Model

/// Traffic of the agent itself, and copies that other agents distribute, which are not captured.
/// Source: agent-flow.md 4.3.
package struct OwnTraffic: Sendable, Equatable {
    /// Of the controller: plain, TLS, behind a proxy. From and to them nothing is captured.
    package var controllerPorts: [UInt16] = [30035, 30135]
    /// Address of this host on the way to the ingester; nil = not known.
    package var localIP: IPAddress?
    package var isIPv6 = false
    package var ingesterPort: UInt16 = 30033
    /// Where packet copies go and the first byte of theirs; nil = they are captured (`skip_npb_bpf`).
    package var copies: (port: UInt16, flags: UInt8)? = (4789, 0xff)

    package init() {}

    package static func == (left: OwnTraffic, right: OwnTraffic) -> Bool {
        left.controllerPorts == right.controllerPorts && left.localIP == right.localIP
            && left.isIPv6 == right.isIPv6 && left.ingesterPort == right.ingesterPort
            && left.copies?.port == right.copies?.port && left.copies?.flags == right.copies?.flags
    }

    /// Offsets behind a link header without tags; the index register holds the bytes of one.
    private struct Offsets {
        var etherType: UInt32
        var proto: UInt32
        var ports: UInt32
        var source: UInt32
        var destination: UInt32

        static let ipv4 = Offsets(etherType: 0x0800, proto: 23, ports: 34, source: 26, destination: 30)
        static let ipv6 = Offsets(etherType: 0x86dd, proto: 20, ports: 54, source: 22, destination: 38)
    }

    /// Drops the rule's traffic and lets the rest fall through to `end`.
    func append(to program: inout FilterAssembler, end: FilterAssembler.Label) {
        let at = isIPv6 ? Offsets.ipv6 : Offsets.ipv4
        let untagged = program.label()
        program.loadHalf(12)
        program.jump(unlessEqual: 0x8100, to: untagged)
        program.loadIndex(4)
        program.loadHalf(indexed: 12)
        program.place(untagged)
        program.jump(unlessEqual: at.etherType, to: end)
        if !isIPv6 {
            // Later fragments have no ports.
            program.loadHalf(indexed: 20)
            program.and(0x1fff)
            program.jump(unlessEqual: 0, to: end)
        }
        if !controllerPorts.isEmpty { dropController(&program, at) }
        if let localIP {
            dropIngester(&program, at, ip: localIP, isSent: true)
            dropIngester(&program, at, ip: localIP, isSent: false)
        }
        if let copies { dropCopies(&program, at, copies, end: end) }
    }

    private func dropController(_ program: inout FilterAssembler, _ at: Offsets) {
        let (hasPorts, drop, next) = (program.label(), program.label(), program.label())
        program.loadByte(indexed: at.proto)
        program.jump(ifEqual: 6, to: hasPorts)
        program.jump(unlessEqual: 17, to: next)
        program.place(hasPorts)
        program.loadHalf(indexed: at.ports)
        for port in controllerPorts { program.jump(ifEqual: UInt32(port), to: drop) }
        program.loadHalf(indexed: at.ports + 2)
        for port in controllerPorts.dropLast() { program.jump(ifEqual: UInt32(port), to: drop) }
        if let last = controllerPorts.last { program.jump(unlessEqual: UInt32(last), to: next) }
        program.place(drop)
        program.ret(0)
        program.place(next)
    }

    private func dropIngester(_ program: inout FilterAssembler, _ at: Offsets, ip: IPAddress, isSent: Bool) {
        let (notTCP, drop, next) = (program.label(), program.label(), program.label())
        let words = isIPv6 ? [ip.high >> 32, ip.high, ip.low >> 32, ip.low] : [UInt64(ip.v4)]
        for (number, word) in words.enumerated() {
            program.loadWord(indexed: (isSent ? at.source : at.destination) + UInt32(number) * 4)
            program.jump(unlessEqual: UInt32(truncatingIfNeeded: word), to: next)
        }
        let port = isSent ? at.ports + 2 : at.ports
        program.loadByte(indexed: at.proto)
        program.jump(unlessEqual: 6, to: notTCP)
        program.loadHalf(indexed: port)
        program.jump(ifEqual: UInt32(ingesterPort), to: drop, otherwise: next)
        program.place(notTCP)
        program.jump(unlessEqual: 17, to: next)
        program.loadHalf(indexed: port)
        program.jump(unlessEqual: UInt32(ingesterPort), to: next)
        program.place(drop)
        program.ret(0)
        program.place(next)
    }

    /// VXLAN with flags of their own, ERSPAN III, and TCP of the same port.
    private func dropCopies(
        _ program: inout FilterAssembler, _ at: Offsets, _ copies: (port: UInt16, flags: UInt8),
        end: FilterAssembler.Label
    ) {
        let (notUDP, notGRE, drop) = (program.label(), program.label(), program.label())
        program.loadByte(indexed: at.proto)
        program.jump(unlessEqual: 17, to: notUDP)
        program.loadHalf(indexed: at.ports + 2)
        program.jump(unlessEqual: UInt32(copies.port), to: end)
        program.loadByte(indexed: at.ports + 8)
        program.jump(ifEqual: UInt32(copies.flags), to: drop, otherwise: end)
        program.place(notUDP)
        program.jump(unlessEqual: UInt32(IPProtocol.gre), to: notGRE)
        program.loadHalf(indexed: at.ports + 2)
        program.jump(ifEqual: 0x22eb, to: drop, otherwise: end)
        program.place(notGRE)
        program.jump(unlessEqual: 6, to: end)
        program.loadHalf(indexed: at.ports + 2)
        program.jump(ifEqual: UInt32(copies.port), to: drop)
        program.loadHalf(indexed: at.ports)
        program.jump(unlessEqual: UInt32(copies.port), to: end)
        program.place(drop)
        program.ret(0)
    }
}
