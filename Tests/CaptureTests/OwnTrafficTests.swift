import CLinux
import Model
import Testing

@testable import Capture

struct OwnTrafficTests {
    /// In the writing of bpf_asm, as the specification shows programs: a single offset of `jneq` is that of inequality.
    private static func text(_ program: [dft_insn]) -> String {
        program.map { insn in
            switch insn.code {
            case 0x20: insn.k == 0xffff_f008 ? "ld #ifidx" : "ld #type"
            case 0x28: "ldh [\(insn.k)]"
            case 0x01: "ldx #\(insn.k)"
            case 0x40: "ld [x+\(insn.k)]"
            case 0x48: "ldh [x+\(insn.k)]"
            case 0x50: "ldb [x+\(insn.k)]"
            case 0x54: "and #\(insn.k)"
            case 0x06: "ret #\(insn.k)"
            case 0x15 where insn.jf == 0: "jeq #\(insn.k),\(insn.jt)"
            case 0x15 where insn.jt == 0: "jneq #\(insn.k),\(insn.jf)"
            case 0x15: "jeq #\(insn.k),\(insn.jt),\(insn.jf)"
            default: "?"
            }
        }.joined(separator: "|")
    }

    /// Source: agent-flow.md 4.3, test vector. `jneq #8899,4,3` there is `jeq #8899,3,4`.
    @Test func specifiedProgram() {
        var own = OwnTraffic()
        own.controllerPorts = [3344, 5566, 7788]
        own.localIP = IPAddress(v4: 0x0102_0304)
        own.ingesterPort = 8899
        own.copies = (1122, 0xff)
        let program = SocketFilter.builtIn(own)
        let wanted = """
            ld #ifidx|jneq #1,3|ld #type|jneq #4,1|ret #0|ldh [12]|jneq #33024,2|ldx #4|ldh [x+12]|jneq #2048,50|ldh [x+20]|\
            and #8191|jneq #0,47|ldb [x+23]|jeq #6,1|jneq #17,9|ldh [x+34]|jeq #3344,6|jeq #5566,5|jeq #7788,4|ldh [x+36]|\
            jeq #3344,2|jeq #5566,1|jneq #7788,1|ret #0|ld [x+26]|jneq #16909060,8|ldb [x+23]|jneq #6,2|ldh [x+36]|\
            jeq #8899,3,4|jneq #17,3|ldh [x+36]|jneq #8899,1|ret #0|ld [x+30]|jneq #16909060,8|ldb [x+23]|jneq #6,2|\
            ldh [x+34]|jeq #8899,3,4|jneq #17,3|ldh [x+34]|jneq #8899,1|ret #0|ldb [x+23]|jneq #17,4|ldh [x+36]|\
            jneq #1122,11|ldb [x+42]|jeq #255,8,9|jneq #47,2|ldh [x+36]|jeq #8939,5,6|jneq #6,5|ldh [x+36]|jeq #1122,2|\
            ldh [x+34]|jneq #1122,1|ret #0
            """
        #expect(program.count == 60)
        #expect(Self.text(program) == wanted)
    }

    /// A filter on ports leaves the size of the IP header in the index register.
    @Test func userFilterComesFirst() throws {
        let filter = try CaptureFilter("tcp port 80")
        let program = SocketFilter(filter: filter, own: OwnTraffic(), interfaces: [1], snapLength: 96).program
        let count = filter.instructions.count
        #expect(filter.instructions.contains { $0.code == 0xb1 }, "the filter does not use the index register")
        #expect(program[count].code == 0x01 && program[count].k == 0)
        for (at, insn) in program.prefix(count).enumerated() where insn.code == 0x05 {
            #expect(at + 1 + Int(insn.k) == count, "acceptance goes on behind the filter")
        }
    }

    /// Every jump of every variant stays inside the program.
    @Test func variants() {
        for isIPv6 in [false, true] {
            for hasCopies in [false, true] {
                for ports in [[], [30035], [1, 2, 3, 4]] as [[UInt16]] {
                    var own = OwnTraffic()
                    own.isIPv6 = isIPv6
                    own.controllerPorts = ports
                    own.localIP = IPAddress(high: 1, low: 2)
                    if !hasCopies { own.copies = nil }
                    let program = SocketFilter(filter: nil, own: own, interfaces: [3, 1, 2], snapLength: 96).program
                    for (at, insn) in program.enumerated() where insn.code == 0x15 {
                        #expect(at + 1 + Int(max(insn.jt, insn.jf)) < program.count)
                    }
                    #expect(program.last?.code == 0x06)
                }
            }
        }
    }

    /// Source: agent-flow.md 4.3, interface part: compares, then nothing, as much as wanted, everything.
    @Test func interfaceList() {
        #expect(Self.text(SocketFilter.list([], whole: [], 96)) == "ret #0")
        #expect(
            Self.text(SocketFilter.list([9, 3, 5], whole: [5, 77], 96))
                == "ld #ifidx|jeq #3,3|jeq #5,3|jeq #9,1|ret #0|ret #96|ret #65535")
    }

    /// More interfaces than a jump reaches over: each chunk has its own returns, the last compare of all but the last chunk
    /// goes on to the next.
    @Test func manyInterfaces() {
        let indexes = (1...1000).map { Int32($0) }
        let whole: Set<Int32> = [1, 254, 255, 700, 999]
        let program = SocketFilter.list(indexes, whole: whole, 96)
        #expect(program.count == 1 + 950 + 4 * 3)
        #expect(program[254].jf == 3 && program[254].code == 0x15)
        for index in Int32(0)...1001 {
            let wanted: UInt32 = index < 1 || index > 950 ? 0 : whole.contains(index) ? 65535 : 96
            #expect(Self.run(program, interface: UInt32(bitPattern: index)) == wanted, "\(index)")
        }
    }

    /// What a program of loads of the interface, compares and returns gives.
    private static func run(_ program: [dft_insn], interface: UInt32) -> UInt32? {
        var at = 0
        while at < program.count {
            let insn = program[at]
            switch insn.code {
            case 0x20: at += 1
            case 0x15: at += 1 + Int(insn.k == interface ? insn.jt : insn.jf)
            case 0x06: return insn.k
            default: return nil
            }
        }
        return nil
    }
}
