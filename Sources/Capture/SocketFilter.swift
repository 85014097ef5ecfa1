import CLinux

/// The program attached to a ring: [the user's filter][own traffic][interface list]. Source: agent-flow.md 4.3.
package struct SocketFilter: Sendable {
    package static let maxInterfaces = 950

    /// Drops everything.
    package static let nothing = SocketFilter(program: [dft_insn(code: 0x06, jt: 0, jf: 0, k: 0)])

    let program: [dft_insn]

    private init(program: [dft_insn]) { self.program = program }

    /// - Parameters:
    ///   - filter: the user's; its acceptance falls through to what follows.
    ///   - own: what is never captured; nil = nothing.
    ///   - interfaces: kernel indexes to capture on; at most `maxInterfaces` are used, lowest first.
    ///   - isIncomingOnly: what this host sends is dropped.
    package init(
        filter: CaptureFilter?, own: OwnTraffic? = nil, interfaces: [Int32], snapLength: UInt32,
        isIncomingOnly: Bool = false
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
            out + Self.builtIn(own) + (isIncomingOnly ? Self.incomingOnly() : []) + Self.list(interfaces, snapLength)
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

    private static func list(_ interfaces: [Int32], _ snapLength: UInt32) -> [dft_insn] {
        var program = FilterAssembler()
        program.loadInterface()
        for index in interfaces.sorted().prefix(SocketFilter.maxInterfaces) {
            let next = program.label()
            program.jump(unlessEqual: UInt32(bitPattern: index), to: next)
            program.ret(snapLength)
            program.place(next)
        }
        program.ret(0)
        return program.finish()
    }

    /// Replaces the filter of a socket.
    func attach(to descriptor: Int32) -> Int32 {
        program.withUnsafeBufferPointer { dft_ring_filter(descriptor, $0.baseAddress, UInt16($0.count)) }
    }
}
