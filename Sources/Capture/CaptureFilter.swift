import CLinux
import CPcap
package import Model

#if canImport(Glibc)
    import Glibc
#endif

/// A capture filter in pcap-filter syntax, compiled by libpcap.
///
/// `@unchecked Sendable`: the program is only read after `init`.
package final class CaptureFilter: @unchecked Sendable {
    package let expression: String
    private var program = pcap_bpf_program()
    package let link: UInt16

    /// - Throws: exit code 2 with libpcap's own words.
    package init(_ expression: String, link: UInt16 = 1) throws(Failure) {
        self.expression = expression
        self.link = link
        guard let handle = pcap_open_dead(Int32(link), 262_144) else {
            throw Failure(.failed, what: "cannot compile the filter", why: "out of memory")
        }
        defer { pcap_close(handle) }
        guard pcap_compile(handle, &program, expression, 1, 0xffff_ffff) == 0 else {
            throw Failure(
                .usage, what: "the filter \"\(expression)\" is not valid", why: String(cString: pcap_geterr(handle)),
                mend: "see pcap-filter(7), for example: tcp port 80 and host 10.0.0.1")
        }
    }

    deinit { pcap_freecode(&program) }

    /// Whether a captured frame passes.
    package func matches(_ bytes: UnsafeRawBufferPointer, wire: Int) -> Bool {
        guard let base = bytes.baseAddress else { return false }
        var header = pcap_pkthdr()
        header.caplen = UInt32(truncatingIfNeeded: bytes.count)
        header.len = UInt32(truncatingIfNeeded: wire)
        return pcap_offline_filter(&program, &header, base.assumingMemoryBound(to: UInt8.self)) != 0
    }

    fileprivate var instructions: [dft_insn] {
        (0..<Int(program.bf_len)).map { index in
            let insn = program.bf_insns[index]
            return dft_insn(code: insn.code, jt: insn.jt, jf: insn.jf, k: insn.k)
        }
    }
}

/// The program attached to a ring: [loopback rule][filter][interface list]. Source: agent-flow.md 4.3.
package struct SocketFilter {
    package static let maxInterfaces = 950
    private static let loadIfIndex = dft_insn(code: 0x20, jt: 0, jf: 0, k: 0xffff_f008)
    private static let loadPacketType = dft_insn(code: 0x20, jt: 0, jf: 0, k: 0xffff_f004)

    let program: [dft_insn]

    /// - Parameters:
    ///   - filter: its acceptance falls through to the interface part.
    ///   - interfaces: kernel indexes to capture on; at most `maxInterfaces` are used, lowest first.
    package init(filter: CaptureFilter?, interfaces: [Int32], snapLength: UInt32) {
        var out = [
            // lo shows every packet twice: the outgoing copy is dropped.
            SocketFilter.loadIfIndex, SocketFilter.jumpUnless(equal: 1, skip: 3), SocketFilter.loadPacketType,
            SocketFilter.jumpUnless(equal: 4, skip: 1), SocketFilter.ret(0),
        ]
        if let filter {
            let instructions = filter.instructions
            for (index, var insn) in instructions.enumerated() {
                if insn.code == 0x06, insn.k != 0 {
                    insn = dft_insn(code: 0x05, jt: 0, jf: 0, k: UInt32(instructions.count - index - 1))
                }
                out.append(insn)
            }
        }
        let list = interfaces.sorted().prefix(SocketFilter.maxInterfaces)
        out.append(SocketFilter.loadIfIndex)
        for index in list {
            out.append(SocketFilter.jumpUnless(equal: UInt32(bitPattern: index), skip: 1))
            out.append(SocketFilter.ret(snapLength))
        }
        out.append(SocketFilter.ret(0))
        program = out
    }

    private static func ret(_ k: UInt32) -> dft_insn { dft_insn(code: 0x06, jt: 0, jf: 0, k: k) }
    private static func jumpUnless(equal k: UInt32, skip: UInt8) -> dft_insn {
        dft_insn(code: 0x15, jt: 0, jf: skip, k: k)
    }

    /// Replaces the filter of a socket.
    func attach(to descriptor: Int32) -> Int32 {
        program.withUnsafeBufferPointer { dft_ring_filter(descriptor, $0.baseAddress, UInt16($0.count)) }
    }
}
