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

    var instructions: [dft_insn] {
        (0..<Int(program.bf_len)).map { index in
            let insn = program.bf_insns[index]
            return dft_insn(code: insn.code, jt: insn.jt, jf: insn.jf, k: insn.k)
        }
    }
}
