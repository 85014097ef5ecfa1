import Model

/// States of a TCP connection as seen from the middle. Source: agent-flow.md 10.
enum FlowState: UInt8, BitwiseCopyable {
    case raw, opening1, opening2, established, closingTx1, closingTx2, closingRx1, closingRx2, closed, reset, exception
    case syn1, synAck1, clientL4PortReuse, serverReset, serverCandidateQueueLack, establishReset, openingRst

    static let count = 18
}

/// Idle times after which a flow ends, seconds. Source: agent-flow.md 10.1.
package struct FlowTimeouts: Sendable {
    package var established: UInt32 = 300
    package var closingRst: UInt32 = 35
    package var openingRst: UInt32 = 1
    package var others: UInt32 = 5
    package let closedFin: UInt32 = 2

    package init() {}

    package var longest: UInt32 { max(established, closingRst, openingRst, others, closedFin) }
}

/// The transition table, unfolded once: (state, flags, direction) -> (state, timeout).
struct TCPStateMachine: ~Copyable {
    private enum Timeout: UInt8 {
        case opening, established, closing, establishedRst, exception, closedFin, openingRst
    }

    /// Classes of valid flag sets; 0 = not valid.
    private enum FlagClass: UInt8, BitwiseCopyable, CaseIterable {
        case invalid, syn, synAck, fin, rst, push, ack
    }

    private struct Move: BitwiseCopyable {
        var state = FlowState.exception
        var seconds: UInt32
    }

    private static let classes = 8

    /// Row of (direction, state), column of the class of flags: few cache lines, since each packet looks here.
    private var table: [Move]
    private var classOfFlags: [FlagClass]

    init(timeouts: FlowTimeouts) {
        let seconds = { (timeout: Timeout) -> UInt32 in
            switch timeout {
            case .opening, .closing, .exception: timeouts.others
            case .established: timeouts.established
            case .establishedRst: timeouts.closingRst
            case .closedFin: timeouts.closedFin
            case .openingRst: timeouts.openingRst
            }
        }
        let rows = 2 * FlowState.count
        table = Array(repeating: Move(seconds: timeouts.others), count: rows * TCPStateMachine.classes)
        classOfFlags = (0..<64).map { TCPStateMachine.classOf(UInt8($0)) }
        for kind in FlagClass.allCases where kind != .invalid {
            for state in 0..<FlowState.count {
                guard let from = FlowState(rawValue: UInt8(state)) else { continue }
                let forward = TCPStateMachine.master(from, kind)
                let backward = TCPStateMachine.slave(from, kind) ?? forward
                for (direction, move) in [forward, backward].enumerated() {
                    guard let move else { continue }
                    table[(direction * FlowState.count + state) * TCPStateMachine.classes + Int(kind.rawValue)] =
                        Move(state: move.0, seconds: seconds(move.1))
                }
            }
        }
    }

    /// - Parameter flags: masked by 0x3f.
    @inline(__always)
    borrowing func next(_ state: FlowState, flags: UInt8, direction: PacketDirection) -> (FlowState, UInt32) {
        let row = Int(direction.rawValue) * FlowState.count + Int(state.rawValue)
        let kind = classOfFlags[Int(flags & 0x3f)]
        let move = table[row &* TCPStateMachine.classes &+ Int(kind.rawValue)]
        return (move.state, move.seconds)
    }

    @inline(__always)
    static func isValid(_ flags: UInt8) -> Bool { classOf(flags) != .invalid }

    @inline(__always)
    private static func classOf(_ flags: UInt8) -> FlagClass {
        switch flags {
        case 0x02: .syn
        case 0x12: .synAck
        case 0x01, 0x11, 0x19: .fin
        case 0x04, 0x14, 0x1c: .rst
        case 0x18, 0x38: .push
        case 0x10: .ack
        default: .invalid
        }
    }

    private static func master(_ state: FlowState, _ flags: FlagClass) -> (FlowState, Timeout)? {
        switch (state, flags) {
        case (.exception, _), (_, .invalid): nil

        case (.raw, .syn): (.opening1, .opening)
        case (.raw, .synAck): nil
        case (.raw, .fin): (.closingTx1, .closing)
        case (.raw, .rst): (.reset, .closing)
        case (.raw, .push), (.raw, .ack): (.established, .established)

        case (.opening1, .syn): (.opening1, .opening)
        case (.opening1, .synAck): nil
        case (.opening1, .fin): (.closingTx1, .closing)
        case (.opening1, .rst): (.establishReset, .closing)
        case (.opening1, .push), (.opening1, .ack): (.established, .established)

        case (.opening2, .syn): (.opening2, .opening)
        case (.opening2, .synAck): nil
        case (.opening2, .fin): (.closingTx1, .closing)
        case (.opening2, .rst): (.openingRst, .openingRst)
        case (.opening2, .push), (.opening2, .ack): (.established, .established)

        case (.established, .syn): (.established, .established)
        case (.established, .synAck): nil
        case (.established, .fin): (.closingTx1, .closing)
        case (.established, .rst): (.reset, .establishedRst)
        case (.established, .push), (.established, .ack): (.established, .established)

        case (.closingTx1, .rst): (.reset, .closing)
        case (.closingTx1, _): (.closingTx1, .closing)

        case (.closingTx2, .rst): (.reset, .closedFin)
        case (.closingTx2, .ack): (.closed, .closedFin)
        case (.closingTx2, .push): nil
        case (.closingTx2, _): (.closingTx2, .closing)

        case (.closingRx1, .fin): (.closingRx2, .closing)
        case (.closingRx1, .rst): (.reset, .closing)
        case (.closingRx1, _): (.closingRx1, .closing)

        case (.closingRx2, .rst): (.reset, .closedFin)
        case (.closingRx2, _): (.closingRx2, .closing)

        case (.closed, .ack): (.closed, .closedFin)
        case (.closed, _): nil

        case (.reset, _): (.reset, .exception)

        case (.syn1, .syn): (.opening1, .opening)
        case (.syn1, .synAck): nil
        case (.syn1, .fin): (.closingTx1, .closing)
        case (.syn1, .rst): (.clientL4PortReuse, .closing)
        case (.syn1, .push), (.syn1, .ack): (.established, .established)

        case (.synAck1, .syn): (.established, .established)
        case (.synAck1, .synAck): nil
        case (.synAck1, .fin): (.closingTx1, .closing)
        case (.synAck1, .rst): (.reset, .closing)
        case (.synAck1, .push), (.synAck1, .ack): (.synAck1, .established)

        case (.clientL4PortReuse, _), (.serverReset, _), (.serverCandidateQueueLack, _), (.establishReset, _):
            (state, .exception)
        case (.openingRst, _): (.openingRst, .openingRst)
        }
    }

    private static func slave(_ state: FlowState, _ flags: FlagClass) -> (FlowState, Timeout)? {
        switch (state, flags) {
        case (.raw, .synAck), (.opening1, .synAck), (.opening2, .synAck), (.syn1, .synAck): (.opening2, .opening)
        case (.raw, .fin), (.opening1, .fin), (.opening2, .fin), (.established, .fin), (.syn1, .fin), (.synAck1, .fin):
            (.closingRx1, .closing)
        case (.opening1, .rst): (.serverReset, .closing)
        case (.opening1, .push), (.opening1, .ack): (.syn1, .opening)
        case (.opening2, .rst), (.syn1, .rst): (.establishReset, .closing)
        case (.established, .synAck), (.synAck1, .synAck): (.synAck1, .established)
        case (.closingTx1, .fin): (.closingTx2, .closing)
        case (.closingTx2, .push), (.closingTx2, .ack): (.closingTx2, .closing)
        case (.closingRx1, .fin): (.closingRx1, .closing)
        case (.closingRx2, .ack), (.closed, .ack): (.closed, .closedFin)
        case (.syn1, .push), (.syn1, .ack): (.syn1, .opening)
        case (.synAck1, .rst): (.serverCandidateQueueLack, .establishedRst)
        case (.synAck1, .push), (.synAck1, .ack): (.established, .established)
        default: nil
        }
    }
}
