import Model
import Testing

@testable import Pipeline

struct TCPStateMachineTests {
    /// State walk of agent-flow.md 19.4.
    @Test func walkToClosedAndBeyond() {
        let machine = TCPStateMachine(timeouts: FlowTimeouts())
        var state = FlowState.raw
        let steps: [(UInt8, PacketDirection, FlowState)] = [
            (0x02, .clientToServer, .opening1), (0x12, .serverToClient, .opening2),
            (0x10, .clientToServer, .established),
            (0x18, .clientToServer, .established), (0x18, .serverToClient, .established),
            (0x11, .serverToClient, .closingRx1), (0x11, .clientToServer, .closingRx2),
            (0x10, .serverToClient, .closed),
            (0x10, .clientToServer, .closed), (0x18, .clientToServer, .exception),
        ]
        for (flags, direction, expected) in steps {
            state = machine.next(state, flags: flags, direction: direction).0
            #expect(state == expected)
        }
    }

    @Test(arguments: 0..<64) func invalidFlagsAlwaysEndInException(flags: Int) {
        let machine = TCPStateMachine(timeouts: FlowTimeouts())
        let valid: Set<Int> = [0x02, 0x12, 0x01, 0x11, 0x19, 0x04, 0x14, 0x1c, 0x10, 0x18, 0x38]
        guard !valid.contains(flags) else { return }
        for state in 0..<FlowState.count {
            guard let from = FlowState(rawValue: UInt8(state)) else { continue }
            #expect(machine.next(from, flags: UInt8(flags), direction: .serverToClient) == (.exception, 5))
        }
    }
}
