import CLinux

/// The program attached to a ring: [the user's filter][own traffic][interface list]. Source: agent-flow.md 4.3.
package struct SocketFilter: Sendable {
    package static let maxInterfaces = 950
    /// Interfaces that are compared before jumps of eight bits no longer reach the end.
    static let chunk = 254
    private static let wholeLength: UInt32 = 65535

    /// Drops everything.
    package static let nothing = SocketFilter(program: [dft_insn(code: 0x06, jt: 0, jf: 0, k: 0)])

    let program: [dft_insn]

    private init(program: [dft_insn]) { self.program = program }

    /// - Parameters:
    ///   - filter: the user's; its acceptance falls through to what follows.
    ///   - own: what is never captured; nil = nothing.
    ///   - interfaces: kernel indexes to capture on; at most `maxInterfaces` are used, lowest first.
    ///   - whole: those of them whose packets are captured whole, whatever the snap length.
    ///   - isIncomingOnly: what this host sends is dropped.
    package init(
        filter: CaptureFilter?, own: OwnTraffic? = nil, interfaces: [Int32], whole: Set<Int32> = [],
        snapLength: UInt32, isIncomingOnly: Bool = false
    ) {
        var out: [dft_insn] = []
        if let filter {
            let instructions = filter.instructions
            for (index, var insn) in instructions.enumerated() {
                if insn.code == 0x06, insn.k != 0 {
                    insn = dft_insn(code: 0x05, jt: 0, jf: 0, k: UInt32(instructions.count - index - 1))
                }
                out.append(insn)
            }
            // What follows takes the index register for 0; the filter may have left the size of a header in it.
            out.append(dft_insn(code: 0x01, jt: 0, jf: 0, k: 0))
        }
        program =
            out + Self.builtIn(own) + (isIncomingOnly ? Self.incomingOnly() : [])
            + Self.list(interfaces, whole: whole, snapLength)
    }

    /// Source: agent-flow.md 4.3, analyzer mode.
    static func incomingOnly() -> [dft_insn] {
        var program = FilterAssembler()
        let next = program.label()
        program.loadPacketType()
        program.jump(unlessEqual: 4, to: next)
        program.ret(0)
        program.place(next)
        return program.finish()
    }

    /// Loopback shows every packet twice: the outgoing copy is dropped. Then own traffic.
    static func builtIn(_ own: OwnTraffic?) -> [dft_insn] {
        var program = FilterAssembler()
        let next = program.label()
        program.loadInterface()
        program.jump(unlessEqual: 1, to: next)
        program.loadPacketType()
        program.jump(unlessEqual: 4, to: next)
        program.ret(0)
        program.place(next)
        if let own {
            let end = program.label()
            own.append(to: &program, end: end)
            program.place(end)
        }
        return program.finish()
    }

    /// Each chunk ends with its own returns: nothing, as much as wanted, everything. Source: agent-flow.md 4.3.
    static func list(_ interfaces: [Int32], whole: Set<Int32>, _ snapLength: UInt32) -> [dft_insn] {
        var program = FilterAssembler()
        let sorted = interfaces.sorted().prefix(SocketFilter.maxInterfaces)
        guard !sorted.isEmpty else { return SocketFilter.nothing.program }
        program.loadInterface()
        for first in stride(from: 0, to: sorted.count, by: chunk) {
            let part = sorted[first..<min(first + chunk, sorted.count)]
            let (wanted, everything, next) = (program.label(), program.label(), program.label())
            for (at, index) in zip(part.indices, part) {
                let label = whole.contains(index) ? everything : wanted
                let isLast = at == part.endIndex - 1 && part.endIndex < sorted.count
                program.jump(ifEqual: UInt32(bitPattern: index), to: label, otherwise: isLast ? next : nil)
            }
            program.ret(0)
            program.place(wanted)
            program.ret(snapLength)
            program.place(everything)
            program.ret(SocketFilter.wholeLength)
            program.place(next)
        }
        return program.finish()
    }

    /// Replaces the filter of a socket.
    func attach(to descriptor: Int32) -> Int32 {
        program.withUnsafeBufferPointer { dft_ring_filter(descriptor, $0.baseAddress, UInt16($0.count)) }
    }
}
